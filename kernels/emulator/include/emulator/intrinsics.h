// intrinsics.h -- integer and bit functions, conversions with a stated rounding.
#pragma once

namespace emu {
template <class To, class From>
EMU_INLINE To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}
}  // namespace emu

// ---- bits ----------------------------------------------------------------------------------------------------------
EMU_INLINE float __int_as_float(int x) { return emu::bit_cast<float>(x); }
EMU_INLINE float __uint_as_float(unsigned x) { return emu::bit_cast<float>(x); }
EMU_INLINE int __float_as_int(float x) { return emu::bit_cast<int>(x); }
EMU_INLINE unsigned __float_as_uint(float x) { return emu::bit_cast<unsigned>(x); }
EMU_INLINE double __longlong_as_double(long long x) { return emu::bit_cast<double>(x); }
EMU_INLINE long long __double_as_longlong(double x) { return emu::bit_cast<long long>(x); }
EMU_INLINE int __double2hiint(double x) { return int(__double_as_longlong(x) >> 32); }
EMU_INLINE int __double2loint(double x) { return int(__double_as_longlong(x)); }
EMU_INLINE double __hiloint2double(int high, int low) { return __longlong_as_double((static_cast<long long>(high) << 32) | unsigned(low)); }

EMU_INLINE int __popc(unsigned x) { return __builtin_popcount(x); }
EMU_INLINE int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
EMU_INLINE int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
EMU_INLINE int __clzll(long long x) { return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64; }
EMU_INLINE int __ffs(int x) { return __builtin_ffs(x); }
EMU_INLINE int __ffsll(long long x) { return __builtin_ffsll(x); }
EMU_INLINE unsigned __brev(unsigned x) {
  unsigned reversed = 0;
  for (int i = 0; i < 32; i++) reversed |= (x >> i & 1) << (31 - i);
  return reversed;
}
EMU_INLINE unsigned long long __brevll(unsigned long long x) { return static_cast<unsigned long long>(__brev(unsigned(x))) << 32 | __brev(unsigned(x >> 32)); }
EMU_INLINE unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const unsigned long long bytes = static_cast<unsigned long long>(y) << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; i++) {
    const unsigned nibble = selector >> 4 * i & 15;
    unsigned byte = unsigned(bytes >> 8 * (nibble & 7)) & 255;
    if (nibble & 8) byte = byte & 128 ? 255 : 0;  // replicate the sign
    result |= byte << 8 * i;
  }
  return result;
}
EMU_INLINE unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) { return unsigned(((static_cast<unsigned long long>(high) << 32 | low) << (shift & 31)) >> 32); }
EMU_INLINE unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) { return unsigned((static_cast<unsigned long long>(high) << 32 | low) >> (shift & 31)); }
EMU_INLINE unsigned __funnelshift_lc(unsigned low, unsigned high, unsigned shift) { return unsigned(((static_cast<unsigned long long>(high) << 32 | low) << (shift < 32 ? shift : 32)) >> 32); }
EMU_INLINE unsigned __funnelshift_rc(unsigned low, unsigned high, unsigned shift) { return unsigned((static_cast<unsigned long long>(high) << 32 | low) >> (shift < 32 ? shift : 32)); }

// ---- integer arithmetic --------------------------------------------------------------------------------------------
EMU_INLINE int __mulhi(int a, int b) { return int(static_cast<long long>(a) * b >> 32); }
EMU_INLINE unsigned __umulhi(unsigned a, unsigned b) { return unsigned(static_cast<unsigned long long>(a) * b >> 32); }
EMU_INLINE long long __mul64hi(long long a, long long b) { return static_cast<long long>(static_cast<__int128>(a) * b >> 64); }
EMU_INLINE unsigned long long __umul64hi(unsigned long long a, unsigned long long b) { return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64); }
EMU_INLINE int __mul24(int a, int b) { return (a << 8 >> 8) * (b << 8 >> 8); }
EMU_INLINE unsigned __umul24(unsigned a, unsigned b) { return (a & 0xffffff) * (b & 0xffffff); }
EMU_INLINE unsigned __sad(int a, int b, unsigned c) { return (a > b ? unsigned(a) - unsigned(b) : unsigned(b) - unsigned(a)) + c; }
EMU_INLINE unsigned __usad(unsigned a, unsigned b, unsigned c) { return (a > b ? a - b : b - a) + c; }
EMU_INLINE int __hadd(int a, int b) { return int((static_cast<long long>(a) + b) >> 1); }
EMU_INLINE int __rhadd(int a, int b) { return int((static_cast<long long>(a) + b + 1) >> 1); }
EMU_INLINE unsigned __uhadd(unsigned a, unsigned b) { return unsigned((static_cast<unsigned long long>(a) + b) >> 1); }
EMU_INLINE unsigned __urhadd(unsigned a, unsigned b) { return unsigned((static_cast<unsigned long long>(a) + b + 1) >> 1); }
EMU_INLINE int __dp4a(int a, int b, int c) {
  for (int i = 0; i < 4; i++) c += int(int8_t(a >> 8 * i)) * int8_t(b >> 8 * i);
  return c;
}
EMU_INLINE unsigned __dp4a(unsigned a, unsigned b, unsigned c) {
  for (int i = 0; i < 4; i++) c += (a >> 8 * i & 255) * (b >> 8 * i & 255);
  return c;
}

// ---- conversions: out-of-range values saturate, NaN becomes 0 (as cvt does) ---------------------------------------
namespace emu {
template <class To, class From>
EMU_INLINE To saturate(From x) {  // x is an integer already
  constexpr From low = From(std::numeric_limits<To>::min()), high = From(std::numeric_limits<To>::max());
  if (x != x) return 0;
  if (x <= low) return std::numeric_limits<To>::min();
  if (x >= high) return std::numeric_limits<To>::max();
  return To(x);
}
template <class From, class To>
EMU_INLINE From to_floating(To x, int direction) {  // direction: 0 nearest, 1 up, -1 down, 2 towards zero
  From nearest = From(x);
  if (direction == 0) return nearest;
  using Wide = __int128;
  const Wide exact = Wide(x), got = Wide(nearest);
  if (direction == 2) direction = x < 0 ? 1 : -1;
  const From infinity = From(__builtin_inf());
  if (direction > 0 && got < exact) nearest = std::nextafter(nearest, infinity);
  if (direction < 0 && got > exact) nearest = std::nextafter(nearest, -infinity);
  return nearest;
}
}  // namespace emu
#define EMU_TO_INTEGER(FROM, From, TO, To)                                                               \
  EMU_INLINE To __##FROM##2##TO##_rn(From x) { return emu::saturate<To>(std::nearbyint(x)); }             \
  EMU_INLINE To __##FROM##2##TO##_rz(From x) { return emu::saturate<To>(std::trunc(x)); }                 \
  EMU_INLINE To __##FROM##2##TO##_ru(From x) { return emu::saturate<To>(std::ceil(x)); }                  \
  EMU_INLINE To __##FROM##2##TO##_rd(From x) { return emu::saturate<To>(std::floor(x)); }
#define EMU_FROM_INTEGER(TO, To, FROM, From)                                                             \
  EMU_INLINE To __##FROM##2##TO##_rn(From x) { return emu::to_floating<To>(x, 0); }                       \
  EMU_INLINE To __##FROM##2##TO##_rz(From x) { return emu::to_floating<To>(x, 2); }                       \
  EMU_INLINE To __##FROM##2##TO##_ru(From x) { return emu::to_floating<To>(x, 1); }                       \
  EMU_INLINE To __##FROM##2##TO##_rd(From x) { return emu::to_floating<To>(x, -1); }
#define EMU_CONVERSIONS(F, Type)                      \
  EMU_TO_INTEGER(F, Type, int, int)                   \
  EMU_TO_INTEGER(F, Type, uint, unsigned)             \
  EMU_TO_INTEGER(F, Type, ll, long long)              \
  EMU_TO_INTEGER(F, Type, ull, unsigned long long)    \
  EMU_FROM_INTEGER(F, Type, int, int)                 \
  EMU_FROM_INTEGER(F, Type, uint, unsigned)           \
  EMU_FROM_INTEGER(F, Type, ll, long long)            \
  EMU_FROM_INTEGER(F, Type, ull, unsigned long long)
EMU_CONVERSIONS(float, float)
EMU_CONVERSIONS(double, double)
#undef EMU_CONVERSIONS
#undef EMU_TO_INTEGER
#undef EMU_FROM_INTEGER
EMU_INLINE float __double2float_rn(double x) { return float(x); }
EMU_INLINE float __double2float_rz(double x) {
  const float nearest = float(x);
  return std::fabs(double(nearest)) > std::fabs(x) ? std::nextafter(nearest, 0.0f) : nearest;
}

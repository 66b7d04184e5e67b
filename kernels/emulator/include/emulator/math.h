// math.h -- CUDA's mathematical functions that <cmath> does not have, and the fast ones: here they are the exact ones.
#pragma once

// ---- min and max of mixed types ------------------------------------------------------------------------------------
template <class A, class B, class = std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B>>>
EMU_INLINE std::common_type_t<A, B> min(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>) return std::fmin(T(a), T(b));
  else return T(a) < T(b) ? T(a) : T(b);
}
template <class A, class B, class = std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B>>>
EMU_INLINE std::common_type_t<A, B> max(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>) return std::fmax(T(a), T(b));
  else return T(a) > T(b) ? T(a) : T(b);
}
EMU_INLINE int umin(unsigned a, unsigned b) { return int(a < b ? a : b); }
EMU_INLINE int umax(unsigned a, unsigned b) { return int(a > b ? a : b); }

// ---- single precision, with the double-precision function of the same formula ---------------------------------------
#define EMU_PAIR(NAME, EXPRESSION)                        \
  EMU_INLINE float NAME##f(float a) { using T = float; (void)sizeof(T); return float(EXPRESSION); } \
  EMU_INLINE double NAME(double a) { using T = double; (void)sizeof(T); return double(EXPRESSION); }
namespace emu {
constexpr double PI = 3.14159265358979323846;
double inverse_normal(double p);  // defined in the runtime
}  // namespace emu
EMU_PAIR(rsqrt, T(1) / std::sqrt(a))
EMU_PAIR(rcbrt, T(1) / std::cbrt(a))
EMU_PAIR(sinpi, T(std::sin(std::fmod(double(a), 2.0) * emu::PI)))
EMU_PAIR(cospi, T(std::cos(std::fmod(double(a), 2.0) * emu::PI)))
EMU_PAIR(normcdf, T(0.5 * std::erfc(-double(a) * 0.70710678118654752440)))
EMU_PAIR(normcdfinv, T(emu::inverse_normal(double(a))))
EMU_PAIR(erfinv, T(emu::inverse_normal((double(a) + 1) / 2) * 0.70710678118654752440))
EMU_PAIR(erfcinv, T(-emu::inverse_normal(double(a) / 2) * 0.70710678118654752440))
EMU_PAIR(erfcx, T(std::exp(double(a) * double(a)) * std::erfc(double(a))))
#undef EMU_PAIR
EMU_INLINE float sincospif(float a, float* s, float* c) { *s = sinpif(a), *c = cospif(a); return 0; }
EMU_INLINE void sincospi(double a, double* s, double* c) { *s = sinpi(a), *c = cospi(a); }
EMU_INLINE float fdividef(float a, float b) { return a / b; }
EMU_INLINE float norm3df(float a, float b, float c) { return std::sqrt(a * a + b * b + c * c); }
EMU_INLINE float rnorm3df(float a, float b, float c) { return 1.0f / norm3df(a, b, c); }
EMU_INLINE float norm4df(float a, float b, float c, float d) { return std::sqrt(a * a + b * b + c * c + d * d); }
EMU_INLINE float rnorm4df(float a, float b, float c, float d) { return 1.0f / norm4df(a, b, c, d); }
EMU_INLINE float rhypotf(float a, float b) { return 1.0f / std::hypot(a, b); }
EMU_INLINE double rhypot(double a, double b) { return 1.0 / std::hypot(a, b); }

// ---- the fast approximations ----------------------------------------------------------------------------------------
EMU_INLINE float __expf(float a) { return std::exp(a); }
EMU_INLINE float __exp2f(float a) { return std::exp2(a); }
EMU_INLINE float __exp10f(float a) { return std::pow(10.0f, a); }
EMU_INLINE float __logf(float a) { return std::log(a); }
EMU_INLINE float __log2f(float a) { return std::log2(a); }
EMU_INLINE float __log10f(float a) { return std::log10(a); }
EMU_INLINE float __powf(float a, float b) { return std::pow(a, b); }
EMU_INLINE float __sinf(float a) { return std::sin(a); }
EMU_INLINE float __cosf(float a) { return std::cos(a); }
EMU_INLINE float __tanf(float a) { return std::tan(a); }
EMU_INLINE float __tanhf(float a) { return std::tanh(a); }
EMU_INLINE void __sincosf(float a, float* s, float* c) { *s = std::sin(a), *c = std::cos(a); }
EMU_INLINE float __fdividef(float a, float b) { return a / b; }
EMU_INLINE float __frsqrt_rn(float a) { return float(1.0 / std::sqrt(double(a))); }
EMU_INLINE float __saturatef(float a) { return a > 0 ? (a < 1 ? a : 1) : 0; }  // NaN becomes 0

// ---- operations with a stated rounding: to nearest as they are, the other directions from the error of the nearest ---
namespace emu {
enum class Rounding { nearest, zero, up, down };
// `nearest` is the rounded result, `error` the sign of (exact - nearest).
template <Rounding R, class T>
EMU_INLINE T rounded(T nearest, T error) {
  if constexpr (R == Rounding::nearest) return nearest;
  const T infinity = T(__builtin_inf());
  const bool up = R == Rounding::up || (R == Rounding::zero && nearest < 0);
  if (up) return error > 0 ? std::nextafter(nearest, infinity) : nearest;
  return error < 0 ? std::nextafter(nearest, -infinity) : nearest;
}
template <Rounding R, class T>
EMU_INLINE T add(T a, T b) {
  const T s = a + b, bb = s - a;
  return rounded<R>(s, (a - (s - bb)) + (b - bb));  // Knuth's two-sum
}
template <Rounding R, class T>
EMU_INLINE T multiply(T a, T b) { const T p = a * b; return rounded<R>(p, std::fma(a, b, -p)); }
template <Rounding R, class T>
EMU_INLINE T divide(T a, T b) { const T q = a / b; return rounded<R>(q, b > 0 ? std::fma(-q, b, a) : -std::fma(-q, b, a)); }
template <Rounding R, class T>
EMU_INLINE T square_root(T a) { const T r = std::sqrt(a); return rounded<R>(r, std::fma(-r, r, a)); }
template <Rounding R>
EMU_INLINE float multiply_add(float a, float b, float c) {
  const float nearest = std::fma(a, b, c);
  const double p = double(a) * b, s = p + c, bb = s - p, e = (p - (s - bb)) + (c - bb);  // p is exact, s + e is exact
  return rounded<R>(nearest, s > nearest ? 1.0f : s < nearest ? -1.0f : float(e > 0) - float(e < 0));
}
}  // namespace emu
#define EMU_ROUNDED(SUFFIX, R)                                                                                     \
  EMU_INLINE float __fadd_##SUFFIX(float a, float b) { return emu::add<emu::Rounding::R>(a, b); }                  \
  EMU_INLINE float __fsub_##SUFFIX(float a, float b) { return emu::add<emu::Rounding::R>(a, -b); }                 \
  EMU_INLINE float __fmul_##SUFFIX(float a, float b) { return emu::multiply<emu::Rounding::R>(a, b); }             \
  EMU_INLINE float __fdiv_##SUFFIX(float a, float b) { return emu::divide<emu::Rounding::R>(a, b); }               \
  EMU_INLINE float __frcp_##SUFFIX(float a) { return emu::divide<emu::Rounding::R>(1.0f, a); }                     \
  EMU_INLINE float __fsqrt_##SUFFIX(float a) { return emu::square_root<emu::Rounding::R>(a); }                     \
  EMU_INLINE float __fmaf_##SUFFIX(float a, float b, float c) { return emu::multiply_add<emu::Rounding::R>(a, b, c); } \
  EMU_INLINE double __dadd_##SUFFIX(double a, double b) { return emu::add<emu::Rounding::R>(a, b); }               \
  EMU_INLINE double __dsub_##SUFFIX(double a, double b) { return emu::add<emu::Rounding::R>(a, -b); }              \
  EMU_INLINE double __dmul_##SUFFIX(double a, double b) { return emu::multiply<emu::Rounding::R>(a, b); }          \
  EMU_INLINE double __ddiv_##SUFFIX(double a, double b) { return emu::divide<emu::Rounding::R>(a, b); }            \
  EMU_INLINE double __drcp_##SUFFIX(double a) { return emu::divide<emu::Rounding::R>(1.0, a); }                    \
  EMU_INLINE double __dsqrt_##SUFFIX(double a) { return emu::square_root<emu::Rounding::R>(a); }
EMU_ROUNDED(rn, nearest)
EMU_ROUNDED(rz, zero)
EMU_ROUNDED(ru, up)
EMU_ROUNDED(rd, down)
#undef EMU_ROUNDED
EMU_INLINE double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }

// half_functions.h -- the device-only functions of <cuda_fp16.h> and <cuda_bf16.h>, once for each: EMU_T is the type,
// EMU_T2 its pair, EMU_FROM and EMU_TO convert from and to float, EMU_PAIR_OF makes a pair, EMU_NAME names it in
// functions like __half2int_rn. Not guarded: included once for each type.
//
// Computed in float and rounded once: for fma that is exact in all but the rarest double roundings.
#define EMU_UNARY(NAME, EXPRESSION)                                                                        \
  EMU_INLINE EMU_T h##NAME(EMU_T x) { const float a = EMU_TO(x); return EMU_FROM(float(EXPRESSION)); }     \
  EMU_INLINE EMU_T2 h2##NAME(EMU_T2 x) { return EMU_PAIR_OF(h##NAME(x.x), h##NAME(x.y)); }
EMU_UNARY(ceil, std::ceil(a))
EMU_UNARY(floor, std::floor(a))
EMU_UNARY(trunc, std::trunc(a))
EMU_UNARY(rint, std::nearbyint(a))
EMU_UNARY(sqrt, std::sqrt(a))
EMU_UNARY(rsqrt, 1.0f / std::sqrt(a))
EMU_UNARY(rcp, 1.0f / a)
EMU_UNARY(exp, std::exp(a))
EMU_UNARY(exp2, std::exp2(a))
EMU_UNARY(exp10, std::pow(10.0f, a))
EMU_UNARY(log, std::log(a))
EMU_UNARY(log2, std::log2(a))
EMU_UNARY(log10, std::log10(a))
EMU_UNARY(sin, std::sin(a))
EMU_UNARY(cos, std::cos(a))
EMU_UNARY(tanh, std::tanh(a))
EMU_UNARY(tanh_approx, std::tanh(a))
#undef EMU_UNARY

EMU_INLINE EMU_T __hfma(EMU_T a, EMU_T b, EMU_T c) { return EMU_FROM(std::fma(EMU_TO(a), EMU_TO(b), EMU_TO(c))); }
EMU_INLINE EMU_T __hfma_relu(EMU_T a, EMU_T b, EMU_T c) { return EMU_FROM(std::fmax(std::fma(EMU_TO(a), EMU_TO(b), EMU_TO(c)), 0.0f)); }
EMU_INLINE EMU_T __hfma_sat(EMU_T a, EMU_T b, EMU_T c) { return EMU_FROM(__saturatef(std::fma(EMU_TO(a), EMU_TO(b), EMU_TO(c)))); }
#define EMU_TERNARY2(NAME) \
  EMU_INLINE EMU_T2 __h##NAME##2(EMU_T2 a, EMU_T2 b, EMU_T2 c) { return EMU_PAIR_OF(__h##NAME(a.x, b.x, c.x), __h##NAME(a.y, b.y, c.y)); }
EMU_TERNARY2(fma)
#undef EMU_TERNARY2
EMU_INLINE EMU_T2 __hfma2_relu(EMU_T2 a, EMU_T2 b, EMU_T2 c) { return EMU_PAIR_OF(__hfma_relu(a.x, b.x, c.x), __hfma_relu(a.y, b.y, c.y)); }
EMU_INLINE EMU_T2 __hfma2_sat(EMU_T2 a, EMU_T2 b, EMU_T2 c) { return EMU_PAIR_OF(__hfma_sat(a.x, b.x, c.x), __hfma_sat(a.y, b.y, c.y)); }
EMU_INLINE EMU_T2 __hcmadd(EMU_T2 a, EMU_T2 b, EMU_T2 c) {  // complex multiply and add
  const float re = std::fma(-EMU_TO(a.y), EMU_TO(b.y), std::fma(EMU_TO(a.x), EMU_TO(b.x), EMU_TO(c.x)));
  const float im = std::fma(EMU_TO(a.y), EMU_TO(b.x), std::fma(EMU_TO(a.x), EMU_TO(b.y), EMU_TO(c.y)));
  return EMU_PAIR_OF(EMU_FROM(re), EMU_FROM(im));
}

#define EMU_TO_INTEGER(TO, To)                                                                                    \
  EMU_INLINE To EMU_JOIN(EMU_NAME, 2##TO##_rn)(EMU_T x) { return emu::saturate<To>(std::nearbyint(EMU_TO(x))); }  \
  EMU_INLINE To EMU_JOIN(EMU_NAME, 2##TO##_ru)(EMU_T x) { return emu::saturate<To>(std::ceil(EMU_TO(x))); }       \
  EMU_INLINE To EMU_JOIN(EMU_NAME, 2##TO##_rd)(EMU_T x) { return emu::saturate<To>(std::floor(EMU_TO(x))); }
EMU_TO_INTEGER(int, int)
EMU_TO_INTEGER(uint, unsigned)
EMU_TO_INTEGER(short, short)
EMU_TO_INTEGER(ushort, unsigned short)
EMU_TO_INTEGER(ll, long long)
EMU_TO_INTEGER(ull, unsigned long long)
#undef EMU_TO_INTEGER
#undef EMU_T
#undef EMU_T2
#undef EMU_FROM
#undef EMU_TO
#undef EMU_PAIR_OF
#undef EMU_NAME

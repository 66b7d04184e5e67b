// fastdiv.cuh -- division by a number known before the launch: a multiplication, a shift.
//
// n / divisor for 0 <= n < 2^31. The host computes multiplier = ceil(2^p / divisor) and shift = p - 32 with
// p = 31 + ceil(log2(divisor)): then n * multiplier / 2^p exceeds n / divisor by less than 1 / divisor, and the floor is exact.
#pragma once

namespace dg {

struct FastDiv {
  unsigned divisor, multiplier, shift;

  __device__ __forceinline__ int div(int n) const {
    return divisor == 1 ? n : static_cast<int>(__umulhi(static_cast<unsigned>(n), multiplier) >> shift);
  }
  __device__ __forceinline__ int divmod(int n, int& rest) const {
    const int quotient = div(n);
    rest = n - quotient * static_cast<int>(divisor);
    return quotient;
  }
};

}  // namespace dg

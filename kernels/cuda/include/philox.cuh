// philox.cuh -- Philox4x32-10: random numbers by counting (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11).
//
// Four words of 32 random bits are a function of a counter and a key. So a thread makes the numbers of its elements from their
// index, nothing is stored between launches, and the same key gives the same numbers whatever the grid.
#pragma once

namespace dg {

__device__ __forceinline__ uint4 philox(unsigned long long counter, unsigned long long key) {
  uint4 c = make_uint4(static_cast<unsigned>(counter), static_cast<unsigned>(counter >> 32), 0u, 0u);
  unsigned k0 = static_cast<unsigned>(key), k1 = static_cast<unsigned>(key >> 32);
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const unsigned high0 = __umulhi(0xD2511F53u, c.x), low0 = 0xD2511F53u * c.x;
    const unsigned high1 = __umulhi(0xCD9E8D57u, c.z), low1 = 0xCD9E8D57u * c.z;
    c = make_uint4(high1 ^ c.y ^ k0, low1, high0 ^ c.w ^ k1, low0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

}  // namespace dg

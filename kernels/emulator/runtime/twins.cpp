// twins.cpp -- ldmatrix and mma.sync, from the fragment figures of the PTX manual (sections "Warp-level matrix load
// instruction: ldmatrix" and "Matrix fragments for mma.m16n8k8 / .m16n8k16").
//
// Throughout: lane = 4 * g + q, the manual's groupID and threadID_in_group.
#include <cstring>

#include "state.h"

namespace emu {
namespace {

float from_bits(uint32_t bits) {
  float f;
  memcpy(&f, &bits, 4);
  return f;
}

struct ToBfloat16 {
  static float value(uint16_t bits) { return from_bits(uint32_t(bits) << 16); }
};

struct ToHalf {  // sign, 5 bits of exponent, 10 of mantissa
  static float value(uint16_t bits) {
    const uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = bits >> 10 & 31, mantissa = bits & 0x3ff;
    if (exponent == 31) return from_bits(sign | 0x7f800000 | mantissa << 13);
    if (exponent) return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
    const float subnormal = float(mantissa) * 0x1p-24f;
    return sign ? -subnormal : subnormal;
  }
};

struct LdmatrixArgument {
  unsigned* registers;
  const char* row;
  int matrices;
  bool transposed;
  uint64_t pc;
};

// Lane 8 * m + i gives the address of row i of matrix m. Each lane receives of every matrix two 16-bit elements of row g,
// columns 2q and 2q + 1; transposed: of column g, rows 2q and 2q + 1.
void do_ldmatrix(void* const* arguments, unsigned) {
  auto of = [&](unsigned lane) -> LdmatrixArgument& { return *static_cast<LdmatrixArgument*>(arguments[lane]); };
  for (int m = 0; m < of(0).matrices; m++) {
    uint16_t matrix[8][8];
    for (unsigned i = 0; i < 8; i++) memcpy(matrix[i], of(unsigned(m) * 8 + i).row, 16);
    for (unsigned lane = 0; lane < 32; lane++) {
      const unsigned g = lane / 4, q = lane % 4;
      const uint16_t low = of(0).transposed ? matrix[2 * q][g] : matrix[g][2 * q];
      const uint16_t high = of(0).transposed ? matrix[2 * q + 1][g] : matrix[g][2 * q + 1];
      of(lane).registers[m] = low | unsigned(high) << 16;
    }
  }
  if (!launch->config.count) return;
  const Fiber& f = *launch->fiber;
  for (unsigned lane = 0; lane < unsigned(of(0).matrices) * 8; lane++)
    launch->traffic.add(f.warp, lane, Traffic::ldmatrix, of(0).pc, reinterpret_cast<uintptr_t>(of(lane).row), 16);
  launch->traffic.end_requests(f.warp);
}

struct MmaArgument {
  float* d;
  const unsigned *a, *b;
  const float* c;
};

// D = C + A * B on 16x8 accumulators. Element i of D: row g (i < 2) or g + 8, column 2q + i % 2.
template <int K>
void accumulate(void* const* arguments, const float (&a)[16][K], const float (&b)[K][8]) {
  float d[16][8];
  for (unsigned lane = 0; lane < 32; lane++)
    for (unsigned i = 0; i < 4; i++) d[lane / 4 + 8 * (i / 2)][lane % 4 * 2 + i % 2] = static_cast<MmaArgument*>(arguments[lane])->c[i];
  for (int row = 0; row < 16; row++)
    for (int k = 0; k < K; k++)
      for (int column = 0; column < 8; column++) d[row][column] += a[row][k] * b[k][column];
  for (unsigned lane = 0; lane < 32; lane++)
    for (unsigned i = 0; i < 4; i++) static_cast<MmaArgument*>(arguments[lane])->d[i] = d[lane / 4 + 8 * (i / 2)][lane % 4 * 2 + i % 2];
}

// 16-bit inputs, two to a register. Element i of A: row g + 8 if i is 2, 3, 6, 7, column 2q + i % 2, + 8 if i >= 4.
// Element i of B: row 2q + i % 2, + 8 if i >= 2, column g.
template <class To>
void do_mma_k16(void* const* arguments, unsigned) {
  float a[16][16], b[16][8];
  for (unsigned lane = 0; lane < 32; lane++) {
    const auto& x = *static_cast<MmaArgument*>(arguments[lane]);
    const unsigned g = lane / 4, q = lane % 4;
    for (unsigned i = 0; i < 8; i++) a[g + i / 2 % 2 * 8][q * 2 + i % 2 + i / 4 * 8] = To::value(uint16_t(x.a[i / 2] >> 16 * (i % 2)));
    for (unsigned i = 0; i < 4; i++) b[q * 2 + i % 2 + i / 2 * 8][g] = To::value(uint16_t(x.b[i / 2] >> 16 * (i % 2)));
  }
  accumulate<16>(arguments, a, b);
}

// 32-bit registers of which the tensor core reads the upper 19 bits. Element i of A: row g + 8 * (i % 2), column
// q + 4 * (i / 2). Element i of B: row q + 4 * i, column g.
void do_mma_k8_tf32(void* const* arguments, unsigned) {
  constexpr uint32_t TF32 = 0xffffe000;
  float a[16][8], b[8][8];
  for (unsigned lane = 0; lane < 32; lane++) {
    const auto& x = *static_cast<MmaArgument*>(arguments[lane]);
    const unsigned g = lane / 4, q = lane % 4;
    for (unsigned i = 0; i < 4; i++) a[g + i % 2 * 8][q + i / 2 * 4] = from_bits(x.a[i] & TF32);
    for (unsigned i = 0; i < 2; i++) b[q + i * 4][g] = from_bits(x.b[i] & TF32);
  }
  accumulate<8>(arguments, a, b);
}

void mma(WarpWork work, float* d, const unsigned* a, const unsigned* b, const float* c, Site site) {
  MmaArgument argument = {d, a, b, c};
  meet(WarpOperation::mma, ~0u, &argument, work, site);
}

}  // namespace

void ldmatrix(unsigned* registers, int matrices, bool transposed, const void* row, Site site) {
  void* pc = __builtin_return_address(0);
  const bool gives_address = int(launch->fiber->lane) < matrices * 8;  // the other lanes' addresses are ignored
  if (gives_address) {
    if (reinterpret_cast<uintptr_t>(row) % 16 || !is_shared(row)) {
      ErrorReport& report = begin_report(is_shared(row) ? Failure::misaligned : Failure::out_of_bounds, pc);
      report.address = reinterpret_cast<uintptr_t>(row);
      report.size = 16;
      stop();
    }
    if (launch->config.check) observe_access(row, 16, false, false, false, pc);
  }
  LdmatrixArgument argument = {registers, static_cast<const char*>(row), matrices, transposed, module_pc(pc)};
  meet(WarpOperation::ldmatrix, ~0u, &argument, do_ldmatrix, site);
}

void mma_m16n8k16_bf16(float* d, const unsigned* a, const unsigned* b, const float* c, Site site) { mma(do_mma_k16<ToBfloat16>, d, a, b, c, site); }
void mma_m16n8k16_f16(float* d, const unsigned* a, const unsigned* b, const float* c, Site site) { mma(do_mma_k16<ToHalf>, d, a, b, c, site); }
void mma_m16n8k8_tf32(float* d, const unsigned* a, const unsigned* b, const float* c, Site site) { mma(do_mma_k8_tf32, d, a, b, c, site); }

}  // namespace emu

// groups.cu -- cooperative groups: warp-aggregated atomics, tiles of 4, scans, a grid barrier.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
namespace cg = cooperative_groups;

// Keeps the positive numbers, one atomic for all active lanes. In no particular order.
extern "C" __global__ void filter(const int* in, int* out, unsigned* count, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    if (in[i] > 0) {
      const cg::coalesced_group active = cg::coalesced_threads();
      unsigned base = 0;
      if (active.thread_rank() == 0) base = atomicAdd(count, active.size());
      out[active.shfl(base, 0) + active.thread_rank()] = in[i];
    }
  }
}

// Tiles of four: their sums, their greatest values and their prefix sums.
extern "C" __global__ void tiles(const int* in, int* sums, int* greatest, int* prefix) {
  const auto tile = cg::tiled_partition<4>(cg::this_thread_block());
  const unsigned rank = cg::this_thread_block().thread_rank();
  const int value = in[rank], sum = cg::reduce(tile, value, cg::plus<int>()), most = cg::reduce(tile, value, cg::greater<int>());
  prefix[rank] = cg::exclusive_scan(tile, value, cg::plus<int>());
  if (tile.thread_rank() == 0) {
    sums[tile.meta_group_rank()] = sum;
    greatest[tile.meta_group_rank()] = most;
  }
}

// Jacobi steps over the whole grid, in one launch.
extern "C" __global__ void jacobi(float* a, float* b, int n, int steps) {
  const cg::grid_group grid = cg::this_grid();
  const int i = int(grid.thread_rank());
  for (int s = 0; s < steps; s++) {
    if (i > 0 && i < n - 1) b[i] = 0.5f * (a[i - 1] + a[i + 1]);
    else if (i < n) b[i] = a[i];
    grid.sync();
    float* t = a;
    a = b;
    b = t;
  }
}

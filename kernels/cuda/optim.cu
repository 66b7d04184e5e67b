// optim.cu -- one step of an optimizer, for all parameters of a type in one launch.
//
// Idea     A table in device memory says where each parameter, its gradient and its state lie, and a second one which piece
//          of which parameter a block takes. So a hundred small tensors cost one launch, and each number is read and
//          written once: what are five to ten passes as array operations is one. What changes from step to step, the
//          learning rate and Adam's count, may lie in device memory: then a captured graph does not repeat one step.
// Tiling   256 threads a block, pieces of 4096 elements, four neighbours a thread where everything is aligned.
// Bytes    SGD with momentum: 3 reads and 2 writes of sizeof(T) an element; Adam: 4 reads and 3 writes.
// Flops    5 to 15 an element, in float (double for double); parameters of a half type are rounded once.
// Roofline bound by memory: 90 % of the copy rate is to be expected on an H100 for large parameters.
#include <numeric.cuh>

// A row of the table. What an optimizer does not keep is null.
struct Tensor {
  void *parameter, *gradient, *first, *second, *greatest;
  float* count;  // of Adam's steps
  long long size;
};

// What a block works on: elements start .. start + 4096 of a tensor, as far as it has them.
struct Piece {
  int tensor, unused;
  long long start;
};

template <class A> struct SGD {
  A lr, momentum, dampening, weight_decay;
  int nesterov, maximize, start;  // start: there is no momentum yet, the gradient becomes it
};

template <class A> struct Adam {
  A lr, beta1, beta2, log_beta1, log_beta2, eps, weight_decay, count;
  int decoupled, maximize;
};

namespace {

using dg::Accumulator;
using dg::narrow;
using dg::Vector;
using dg::widen;

constexpr int PIECE = 4096;

template <class A> struct State {
  A first, second, greatest;
};

// What of a step is the same for all elements of a tensor. `lr`: where the learning rate lies, if it is not in `o`.
template <class A> struct SGDRates {
  A lr;
};
template <class A> struct AdamRates {
  A size, decay, correction;
};
template <class A> __device__ __forceinline__ SGDRates<A> rates(const SGD<A>& o, const float*, const float* lr) {
  return {lr ? A(*lr) : o.lr};
}
// 1 - beta^t without cancellation.
template <class A> __device__ __forceinline__ A bias(A log_beta, A t) { return -expm1(log_beta * t); }
template <class A> __device__ __forceinline__ AdamRates<A> rates(const Adam<A>& o, const float* count, const float* lr) {
  const A t = count ? A(*count) : o.count, rate = lr ? A(*lr) : o.lr;
  return {rate / bias(o.log_beta1, t), A(1) - rate * o.weight_decay, sqrt(bias(o.log_beta2, t))};
}

// torch.optim.SGD.
template <class A>
__device__ __forceinline__ A step(const SGD<A>& o, const SGDRates<A>& r, A p, A g, State<A>& s, bool has_momentum, bool) {
  if (o.maximize) g = -g;
  if (o.weight_decay != A(0)) g += o.weight_decay * p;  // else a parameter of infinity would make it a NaN
  if (has_momentum) {
    s.first = o.start ? g : o.momentum * s.first + (A(1) - o.dampening) * g;
    g = o.nesterov ? g + o.momentum * s.first : s.first;
  }
  return p - r.lr * g;
}

// torch.optim.Adam and AdamW; with `greatest` AMSGrad.
template <class A>
__device__ __forceinline__ A step(const Adam<A>& o, const AdamRates<A>& r, A p, A g, State<A>& s, bool, bool amsgrad) {
  if (o.maximize) g = -g;
  if (o.decoupled)
    p *= r.decay;
  else if (o.weight_decay != A(0))
    g += o.weight_decay * p;
  s.first += (A(1) - o.beta1) * (g - s.first);
  s.second = o.beta2 * s.second + (A(1) - o.beta2) * (g * g);
  A v = s.second;
  if (amsgrad) {
    if (v > s.greatest || v != v) s.greatest = v;
    v = s.greatest;
  }
  return p - r.size * s.first / (sqrt(v) / r.correction + o.eps);
}

template <class T, int N> __device__ __forceinline__ Vector<T, N> load(const void* p, long long i) {
  return *reinterpret_cast<const Vector<T, N>*>(static_cast<const T*>(p) + i);
}
template <class T, int N> __device__ __forceinline__ void store(void* p, long long i, const Vector<T, N>& v) {
  *reinterpret_cast<Vector<T, N>*>(static_cast<T*>(p) + i) = v;
}

// Elements i .. i + N of a tensor.
template <class T, int N, class O, class R>
__device__ __forceinline__ void update(const Tensor& t, const O& o, const R& r, long long i) {
  using A = Accumulator<T>;
  Vector<T, N> p = load<T, N>(t.parameter, i), first = {}, second = {}, greatest = {};
  const Vector<T, N> g = load<T, N>(t.gradient, i);
  if (t.first) first = load<T, N>(t.first, i);
  if (t.second) second = load<T, N>(t.second, i);
  if (t.greatest) greatest = load<T, N>(t.greatest, i);
#pragma unroll
  for (int j = 0; j < N; j++) {
    State<A> s = {widen(first.v[j]), widen(second.v[j]), widen(greatest.v[j])};
    p.v[j] = narrow<T>(step(o, r, widen(p.v[j]), widen(g.v[j]), s, t.first != nullptr, t.greatest != nullptr));
    first.v[j] = narrow<T>(s.first), second.v[j] = narrow<T>(s.second), greatest.v[j] = narrow<T>(s.greatest);
  }
  store(t.parameter, i, p);
  if (t.first) store(t.first, i, first);
  if (t.second) store(t.second, i, second);
  if (t.greatest) store(t.greatest, i, greatest);
}

// Whether all pointers are multiples of `bytes`.
__device__ __forceinline__ bool aligned(const Tensor& t, unsigned long long bytes) {
  const unsigned long long all = reinterpret_cast<unsigned long long>(t.parameter) |
                                 reinterpret_cast<unsigned long long>(t.gradient) |
                                 reinterpret_cast<unsigned long long>(t.first) |
                                 reinterpret_cast<unsigned long long>(t.second) |
                                 reinterpret_cast<unsigned long long>(t.greatest);
  return all % bytes == 0;
}

}  // namespace

// Counts a step of every tensor.
// judge count_steps: registers <= 24; !LDL
extern "C" __global__ void __launch_bounds__(256) count_steps(const Tensor* __restrict__ tensors, int n) {
  const int i = blockIdx.x * 256 + threadIdx.x;
  if (i < n) *tensors[i].count += 1.f;
}

// judge optimize: registers <= 96; !LDL
template <class T, class O>
__global__ void __launch_bounds__(256, 2)
    optimize(const Tensor* __restrict__ tensors, const Piece* __restrict__ pieces, const O o, const float* __restrict__ lr) {
  constexpr int N = sizeof(T) == 8 ? 2 : 4;
  const Piece piece = pieces[blockIdx.x];
  const Tensor t = tensors[piece.tensor];
  const auto r = rates(o, t.count, lr);
  const long long end = piece.start + PIECE < t.size ? piece.start + PIECE : t.size;
  if (!aligned(t, sizeof(T) * N)) {
    for (long long i = piece.start + threadIdx.x; i < end; i += 256) update<T, 1>(t, o, r, i);
    return;
  }
  const long long whole = piece.start + (end - piece.start) / N * N;
  for (long long i = piece.start + threadIdx.x * N; i < whole; i += 256 * N) update<T, N>(t, o, r, i);
  if (whole + threadIdx.x < end) update<T, 1>(t, o, r, whole + threadIdx.x);
}

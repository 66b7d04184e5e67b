// optim.cu -- one step of an optimizer, for all parameters of a type in one launch.
//
// Idea     A table in device memory says where each parameter, its gradient and its state lie, and a second one which piece
//          of which parameter a block takes. So a hundred small tensors cost one launch, and each number is read and
//          written once: what are five to ten passes as array operations is one.
// Tiling   256 threads a block, pieces of 4096 elements, four neighbours a thread where everything is aligned.
// Bytes    SGD with momentum: 3 reads and 2 writes of sizeof(T) an element; Adam: 4 reads and 3 writes.
// Flops    5 to 15 an element, in float (double for double); parameters of a half type are rounded once.
// Roofline bound by memory: 90 % of the copy rate is to be expected on an H100 for large parameters.
#include <numeric.cuh>

// A row of the table. What an optimizer does not keep is null.
struct Tensor {
  void *parameter, *gradient, *first, *second, *greatest;
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
  A step_size, beta1, beta2, eps, weight_decay, decay, correction;  // decay: 1 - lr * weight_decay; correction: sqrt(1 - beta2^t)
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

// torch.optim.SGD.
template <class A> __device__ __forceinline__ A step(const SGD<A>& o, A p, A g, State<A>& s, bool has_momentum, bool) {
  if (o.maximize) g = -g;
  if (o.weight_decay != A(0)) g += o.weight_decay * p;  // else a parameter of infinity would make it a NaN
  if (has_momentum) {
    s.first = o.start ? g : o.momentum * s.first + (A(1) - o.dampening) * g;
    g = o.nesterov ? g + o.momentum * s.first : s.first;
  }
  return p - o.lr * g;
}

// torch.optim.Adam and AdamW; with `greatest` AMSGrad.
template <class A> __device__ __forceinline__ A step(const Adam<A>& o, A p, A g, State<A>& s, bool, bool amsgrad) {
  if (o.maximize) g = -g;
  if (o.decoupled)
    p *= o.decay;
  else if (o.weight_decay != A(0))
    g += o.weight_decay * p;
  s.first += (A(1) - o.beta1) * (g - s.first);
  s.second = o.beta2 * s.second + (A(1) - o.beta2) * (g * g);
  A v = s.second;
  if (amsgrad) {
    if (v > s.greatest || v != v) s.greatest = v;
    v = s.greatest;
  }
  return p - o.step_size * s.first / (sqrt(v) / o.correction + o.eps);
}

template <class T, int N> __device__ __forceinline__ Vector<T, N> load(const void* p, long long i) {
  return *reinterpret_cast<const Vector<T, N>*>(static_cast<const T*>(p) + i);
}
template <class T, int N> __device__ __forceinline__ void store(void* p, long long i, const Vector<T, N>& v) {
  *reinterpret_cast<Vector<T, N>*>(static_cast<T*>(p) + i) = v;
}

// Elements i .. i + N of a tensor.
template <class T, int N, class O> __device__ __forceinline__ void update(const Tensor& t, const O& o, long long i) {
  using A = Accumulator<T>;
  Vector<T, N> p = load<T, N>(t.parameter, i), first = {}, second = {}, greatest = {};
  const Vector<T, N> g = load<T, N>(t.gradient, i);
  if (t.first) first = load<T, N>(t.first, i);
  if (t.second) second = load<T, N>(t.second, i);
  if (t.greatest) greatest = load<T, N>(t.greatest, i);
#pragma unroll
  for (int j = 0; j < N; j++) {
    State<A> s = {widen(first.v[j]), widen(second.v[j]), widen(greatest.v[j])};
    p.v[j] = narrow<T>(step(o, widen(p.v[j]), widen(g.v[j]), s, t.first != nullptr, t.greatest != nullptr));
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

// judge optimize: registers <= 96; !LDL
template <class T, class O>
__global__ void __launch_bounds__(256, 2)
    optimize(const Tensor* __restrict__ tensors, const Piece* __restrict__ pieces, const O o) {
  constexpr int N = sizeof(T) == 8 ? 2 : 4;
  const Piece piece = pieces[blockIdx.x];
  const Tensor t = tensors[piece.tensor];
  const long long end = piece.start + PIECE < t.size ? piece.start + PIECE : t.size;
  if (!aligned(t, sizeof(T) * N)) {
    for (long long i = piece.start + threadIdx.x; i < end; i += 256) update<T, 1>(t, o, i);
    return;
  }
  const long long whole = piece.start + (end - piece.start) / N * N;
  for (long long i = piece.start + threadIdx.x * N; i < whole; i += 256 * N) update<T, N>(t, o, i);
  if (whole + threadIdx.x < end) update<T, 1>(t, o, whole + threadIdx.x);
}

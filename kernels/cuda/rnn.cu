// rnn.cu -- what a step of an LSTM or a GRU does between its matrix products, and the gradients.
//
//   lstm   c' = sigmoid(f) c + sigmoid(i) tanh(g),   h = sigmoid(o) tanh(c'),         gates[N][4][H] = i, f, g, o
//   gru    n = tanh(x_n + r h_n),  h' = n + z (h - n),  r = sigmoid(x_r + h_r), z likewise, x[N][3][H] = r, z, n, hidden[N][3][H]
//
// Idea     One pass over what a step has: a thread makes V units of a sequence, whatever gates they have. Backward computes the
//          gates again from the sums, which are kept, rather than keeping them and their derivatives.
// Tiling   256 threads a block, a thread V units; V * sizeof(T) = 16 bytes where H allows it.
// Bytes    lstm 7 * sizeof(T) a unit, backward 13; gru 8, backward 15.
// Flops    lstm about 100 a unit (five exponentials), backward 110; gru 60, backward 80; in float, in double for double.
// Roofline bound by memory: 80 % of the copy rate is to be expected on an H100 for 10^5 units a step and more; a step of
//          fewer is bound by the launch.
#include <numeric.cuh>

namespace {

using dg::Accumulator;
using dg::narrow;
using dg::Vector;
using dg::widen;

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
__device__ __forceinline__ double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
__device__ __forceinline__ float tangent(float x) { return tanhf(x); }
__device__ __forceinline__ double tangent(double x) { return tanh(x); }

template <class T, int V> __device__ __forceinline__ Vector<T, V> load(const T* p) { return *reinterpret_cast<const Vector<T, V>*>(p); }
template <class T, int V> __device__ __forceinline__ void store(T* p, const Vector<T, V>& v) { *reinterpret_cast<Vector<T, V>*>(p) = v; }

// Which units a thread has: V from `unit` on of the matrix [N][H], whose gates begin at `gate` of [N][GATES][H].
template <int V, int GATES> struct Units {
  long long unit, gate;
  bool inside;
  __device__ __forceinline__ Units(long long N, int H) {
    unit = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * V;
    inside = unit < N * H;
    gate = unit + unit / H * (GATES - 1) * H;
  }
};

}  // namespace

// judge lstm: registers <= 128; !LDL
template <class T, int V>
__global__ void __launch_bounds__(256, 2)
    lstm(const T* __restrict__ gates, const T* __restrict__ c, T* __restrict__ h, T* __restrict__ next, long long N, int H) {
  const Units<V, 4> u(N, H);
  if (!u.inside) return;
  const T* const g = gates + u.gate;
  const Vector<T, V> i = load<T, V>(g), f = load<T, V>(g + H), n = load<T, V>(g + 2 * H), o = load<T, V>(g + 3 * H);
  const Vector<T, V> cell = load<T, V>(c + u.unit);
  Vector<T, V> out, state;
#pragma unroll
  for (int j = 0; j < V; j++) {
    const auto t = sigmoid(widen(f.v[j])) * widen(cell.v[j]) + sigmoid(widen(i.v[j])) * tangent(widen(n.v[j]));
    state.v[j] = narrow<T>(t);
    out.v[j] = narrow<T>(sigmoid(widen(o.v[j])) * tangent(t));
  }
  store<T, V>(h + u.unit, out);
  store<T, V>(next + u.unit, state);
}

// From the gradients of h and of the new cell, those of the gates' sums and of the cell.
// judge lstm_backward: registers <= 128; !LDL
template <class T, int V>
__global__ void __launch_bounds__(256, 2)
    lstm_backward(const T* __restrict__ gh, const T* __restrict__ gnext, const T* __restrict__ gates, const T* __restrict__ c,
                  const T* __restrict__ next, T* __restrict__ ggates, T* __restrict__ gc, long long N, int H) {
  using A = Accumulator<T>;
  const Units<V, 4> u(N, H);
  if (!u.inside) return;
  const T* const g = gates + u.gate;
  Vector<T, V> i = load<T, V>(g), f = load<T, V>(g + H), n = load<T, V>(g + 2 * H), o = load<T, V>(g + 3 * H);
  const Vector<T, V> cell = load<T, V>(c + u.unit), state = load<T, V>(next + u.unit);
  const Vector<T, V> dh = load<T, V>(gh + u.unit);
  Vector<T, V> dc = load<T, V>(gnext + u.unit);
#pragma unroll
  for (int j = 0; j < V; j++) {
    const A in = sigmoid(widen(i.v[j])), forget = sigmoid(widen(f.v[j])), out = sigmoid(widen(o.v[j]));
    const A fresh = tangent(widen(n.v[j])), t = tangent(widen(state.v[j]));
    const A through = widen(dc.v[j]) + widen(dh.v[j]) * out * (A(1) - t * t);  // the gradient of the new cell
    i.v[j] = narrow<T>(through * fresh * in * (A(1) - in));
    f.v[j] = narrow<T>(through * widen(cell.v[j]) * forget * (A(1) - forget));
    n.v[j] = narrow<T>(through * in * (A(1) - fresh * fresh));
    o.v[j] = narrow<T>(widen(dh.v[j]) * t * out * (A(1) - out));
    dc.v[j] = narrow<T>(through * forget);
  }
  T* const to = ggates + u.gate;
  store<T, V>(to, i), store<T, V>(to + H, f), store<T, V>(to + 2 * H, n), store<T, V>(to + 3 * H, o);
  store<T, V>(gc + u.unit, dc);
}

// judge gru: registers <= 128; !LDL
template <class T, int V>
__global__ void __launch_bounds__(256, 2)
    gru(const T* __restrict__ x, const T* __restrict__ hidden, const T* __restrict__ h, T* __restrict__ next, long long N, int H) {
  const Units<V, 3> u(N, H);
  if (!u.inside) return;
  const T *const a = x + u.gate, *const b = hidden + u.gate;
  const Vector<T, V> xr = load<T, V>(a), xz = load<T, V>(a + H), xn = load<T, V>(a + 2 * H);
  const Vector<T, V> hr = load<T, V>(b), hz = load<T, V>(b + H), hn = load<T, V>(b + 2 * H);
  Vector<T, V> state = load<T, V>(h + u.unit);
#pragma unroll
  for (int j = 0; j < V; j++) {
    const auto r = sigmoid(widen(xr.v[j]) + widen(hr.v[j])), z = sigmoid(widen(xz.v[j]) + widen(hz.v[j]));
    const auto fresh = tangent(widen(xn.v[j]) + r * widen(hn.v[j]));
    state.v[j] = narrow<T>(fresh + z * (widen(state.v[j]) - fresh));
  }
  store<T, V>(next + u.unit, state);
}

// From the gradient of the new state, those of both sums of the gates and of the state.
// judge gru_backward: registers <= 128; !LDL
template <class T, int V>
__global__ void __launch_bounds__(256, 2)
    gru_backward(const T* __restrict__ g, const T* __restrict__ x, const T* __restrict__ hidden, const T* __restrict__ h,
                 T* __restrict__ gx, T* __restrict__ ghidden, T* __restrict__ gh, long long N, int H) {
  using A = Accumulator<T>;
  const Units<V, 3> u(N, H);
  if (!u.inside) return;
  const T *const a = x + u.gate, *const b = hidden + u.gate;
  Vector<T, V> xr = load<T, V>(a), xz = load<T, V>(a + H), xn = load<T, V>(a + 2 * H);
  const Vector<T, V> hr = load<T, V>(b), hz = load<T, V>(b + H);
  Vector<T, V> hn = load<T, V>(b + 2 * H);
  const Vector<T, V> state = load<T, V>(h + u.unit);
  Vector<T, V> dh = load<T, V>(g + u.unit);
#pragma unroll
  for (int j = 0; j < V; j++) {
    const A r = sigmoid(widen(xr.v[j]) + widen(hr.v[j])), z = sigmoid(widen(xz.v[j]) + widen(hz.v[j]));
    const A last = widen(hn.v[j]), fresh = tangent(widen(xn.v[j]) + r * last), d = widen(dh.v[j]);
    const A to_fresh = d * (A(1) - z) * (A(1) - fresh * fresh);
    xz.v[j] = narrow<T>(d * (widen(state.v[j]) - fresh) * z * (A(1) - z));
    xr.v[j] = narrow<T>(to_fresh * last * r * (A(1) - r));
    xn.v[j] = narrow<T>(to_fresh);
    hn.v[j] = narrow<T>(to_fresh * r);
    dh.v[j] = narrow<T>(d * z);
  }
  T *const to_x = gx + u.gate, *const to_hidden = ghidden + u.gate;
  store<T, V>(to_x, xr), store<T, V>(to_x + H, xz), store<T, V>(to_x + 2 * H, xn);
  store<T, V>(to_hidden, xr), store<T, V>(to_hidden + H, xz), store<T, V>(to_hidden + 2 * H, hn);
  store<T, V>(gh + u.unit, dh);
}

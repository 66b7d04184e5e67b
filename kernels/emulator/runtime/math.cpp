// math.cpp -- mathematical functions too long for a header.
#include <cmath>

#include "interface.h"

namespace emu {

double inverse_normal(double p);

// The inverse of the standard normal distribution: a starting value good to two digits, then Newton's method with
// Halley's correction on Phi(x) = erfc(-x / sqrt 2) / 2, cubically convergent.
double inverse_normal(double p) {
  if (!(p > 0) || !(p < 1)) return p == 0 ? -INFINITY : p == 1 ? INFINITY : NAN;
  const double tail = p < 0.5 ? p : 1 - p, t = std::sqrt(-2 * std::log(tail));
  // Hastings' rational approximation (Abramowitz and Stegun 26.2.23), error below 4.5e-4.
  double x = t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t);
  if (p < 0.5) x = -x;
  for (int i = 0; i < 3; i++) {
    const double error = (0.5 * std::erfc(-x * M_SQRT1_2) - p) * std::sqrt(2 * M_PI) * std::exp(x * x / 2);
    x -= error / (1 + x * error / 2);
  }
  return x;
}

}  // namespace emu

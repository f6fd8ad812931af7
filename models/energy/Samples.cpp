//===- Samples.cpp - Intervals that are carried by sampling ---------------===//

#include "models/energy/Samples.h"

#include <algorithm>
#include <cmath>

namespace npucc {

namespace {

constexpr uint64_t kFnvOffset = 14695981039346656037ull, kFnvPrime = 1099511628211ull;
constexpr double kPercentile95 = 1.6448536269514722; ///< of a standard normal
constexpr double kPi = 3.14159265358979323846;

uint64_t hash(llvm::StringRef text) {
  uint64_t value = kFnvOffset;
  for (char c : text)
    value = (value ^ static_cast<unsigned char>(c)) * kFnvPrime;
  return value;
}

/// SplitMix64 (G. Steele et al., OOPSLA 2014): uniform in (0, 1).
double uniform(uint64_t &state) {
  uint64_t z = state += 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  z ^= z >> 31;
  return (double(z >> 11) + 0.5) / 9007199254740992.0; // 2^53
}

} // namespace

std::vector<double> normalSamples(llvm::StringRef variable) {
  uint64_t state = hash(variable);
  std::vector<double> samples(kSamples);
  for (size_t i = 0; i + 1 < kSamples; i += 2) { // Box and Muller
    double radius = std::sqrt(-2 * std::log(uniform(state))), angle = 2 * kPi * uniform(state);
    samples[i] = radius * std::cos(angle);
    samples[i + 1] = radius * std::sin(angle);
  }
  return samples;
}

std::vector<double> drawSamples(llvm::StringRef variable, double value, double low, double high) {
  if (value <= 0)
    return std::vector<double>(kSamples, value);
  low = std::max(low, value / 1000);
  double up = std::log(high / value) / kPercentile95, down = std::log(value / low) / kPercentile95;
  std::vector<double> samples = normalSamples(variable);
  for (double &sample : samples)
    sample = value * std::exp(sample * (sample > 0 ? up : down));
  return samples;
}

std::pair<double, double> interval(std::vector<double> samples) {
  if (samples.empty())
    return {0, 0};
  std::sort(samples.begin(), samples.end());
  return {samples[samples.size() / 20], samples[samples.size() - 1 - samples.size() / 20]};
}

} // namespace npucc

//===- Samples.h - Intervals that are carried by sampling ---------*- C++ -*-===//
//
// A constant is a random variable. Its low and high ends are the 5th and 95th percentile of a
// lognormal distribution of two halves, with the value as its median. The same variable is the same
// sample wherever it appears, so that it cancels where it stands on both sides of a ratio.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "llvm/ADT/StringRef.h"

#include <utility>
#include <vector>

namespace npucc {

constexpr size_t kSamples = 1000;

/// kSamples standard normal numbers that depend on nothing but the variable's name.
std::vector<double> normalSamples(llvm::StringRef variable);
/// Samples of a constant. 0 < low <= value <= high; a low end of 0 counts as a thousandth.
std::vector<double> drawSamples(llvm::StringRef variable, double value, double low, double high);
/// 5th and 95th percentile.
std::pair<double, double> interval(std::vector<double> samples);

} // namespace npucc

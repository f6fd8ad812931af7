//===- Estimate.h - The energy of a component from published rows -*- C++ -*-===//
//
// A component (class, sizes, node, voltage) that the library has is looked up. One that it lacks
// is brought there from the rows of the nearest node, by a rule that is fitted to its class:
//
//   ln E = offset of the table + sum of exponent x ln size + (s + q ln size) x ln node + v ln V
//
// docs/energy.md explains the rule, the weights and the interval.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "models/energy/Library.h"

#include "llvm/ADT/ArrayRef.h"

#include <string>
#include <vector>

namespace npucc {

/// What is known of a class before its rows are seen.
struct ComponentClass {
  struct Exponent {
    Size size;
    double expected, tolerance; ///< of the exponent; the rows pull it away from `expected`
  };
  std::string name, title;
  std::vector<Exponent> exponents;
  double nodeExponent = 0.5, nodeTolerance = 0.3;
  bool sizeScalesWithNode = false; ///< q: the exponent of the first size depends on the node
  double voltageExponent = 2;
  bool area = false; ///< no limit on generations: Stillmaker and Baas have areas of each pair
};
/// nullptr: the class has rows (macros, links), but no rule.
const ComponentClass *findComponentClass(llvm::StringRef name);
llvm::ArrayRef<ComponentClass> componentClasses();

/// A component's energy (or area, or power) and how it came about.
struct Estimate {
  double value = 0, low = 0, high = 0;
  std::string unit, className;
  Sizes sizes;
  double nodeNm = 0, voltageV = 0;
  struct Vote {
    const LibraryRow *row;
    double value;  ///< the row's figure at the component's sizes, node and voltage
    double weight; ///< of all votes: 1
  };
  std::vector<Vote> votes;
  std::string rule;           ///< "looked up", or the exponents
  int generations = 0;        ///< between the rows' node and the component's
  bool limited = false;       ///< further than kMostGenerations: only so far was scaled
  std::string confidence;     ///< high, medium, low
  std::string source() const; ///< the rows, their sources and the rule, in one line
};

/// Nothing is scaled over more generations than this: what lies further away is given no gain
/// beyond it, and the interval reaches to the whole.
constexpr int kMostGenerations = 2;

/// `without`: a row that must not be used (leave-one-out), or nullptr.
llvm::Expected<Estimate> estimate(llvm::ArrayRef<LibraryRow> rows, llvm::StringRef className,
                                  const Sizes &sizes, double nodeNm, double voltageV,
                                  const LibraryRow *without = nullptr);

} // namespace npucc

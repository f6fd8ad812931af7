//===- EnergyTable.h - The constants of one machine ---------------*- C++ -*-===//
//
// Every energy, power and area of a machine is a sum of constants times factors. The table holds
// the constants, each with its interval and source, so that a figure can be traced and its
// interval sampled.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "models/energy/Estimate.h"
#include "models/machine/Machine.h"

#include <string>
#include <vector>

namespace npucc {

/// A value with its interval.
struct Bounded {
  double value = 0, low = 0, high = 0;
  /// As if both were off in the same direction.
  Bounded &operator+=(const Bounded &other);
  Bounded scaled(double factor) const { return {value * factor, low * factor, high * factor}; }
};

struct EnergyConstant {
  std::string name; ///< "int_multiplier 8 bits", "dram read"
  double value = 0, low = 0, high = 0;
  std::string unit, scope, confidence, source;
  double nodeNm = 0, voltageV = 0; ///< 0: has none (DRAM)
  /// Random variable: constants of one class and node are off together.
  std::string variable;
  int generations = 0;  ///< of nodes between its rows and the machine's
  bool area = false;    ///< an area, or a ratio of areas: scaled all the way
  bool limited = false; ///< further from its rows than a headline may scale: it is not scaled on
};

/// Part of a figure: `factor` times a constant.
struct Term {
  size_t constant;
  double factor;
};
using Terms = std::vector<Term>;

class EnergyTable {
public:
  EnergyTable(const Machine &machine);

  /// A component of the library at the machine's node and voltage.
  size_t component(llvm::StringRef className, const Sizes &sizes = {});
  /// A constant of a data file.
  size_t given(const std::string &name, const Constant &constant, const std::string &scope,
               double voltageScale = 1);

  const std::vector<EnergyConstant> &constants() const { return list; }
  double value(const Terms &terms) const;
  /// kSamples values of the figure; add the constants first.
  std::vector<double> samples(const Terms &terms) const;
  Bounded bounded(const Terms &terms) const;
  /// Components that the library has no row for.
  const std::vector<std::string> &missing() const { return without; }

private:
  const Machine &machine;
  std::vector<EnergyConstant> list;
  std::vector<std::string> without;
  mutable std::vector<std::vector<double>> drawn; ///< by constant
};

} // namespace npucc

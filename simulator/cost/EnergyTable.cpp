//===- EnergyTable.cpp - The constants of one machine ---------------------===//

#include "simulator/cost/EnergyTable.h"

#include "models/energy/Samples.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;

namespace npucc {

Bounded &Bounded::operator+=(const Bounded &other) {
  value += other.value;
  low += other.low;
  high += other.high;
  return *this;
}

EnergyTable::EnergyTable(const Machine &machine) : machine(machine) {}

size_t EnergyTable::component(StringRef className, const Sizes &sizes) {
  std::string size = sizes.text();
  std::string name = (className + (size.empty() ? "" : " " + size)).str();
  for (size_t i = 0; i < list.size(); ++i)
    if (list[i].name == name)
      return i;
  double node = machine.technology.nodeNm;
  EnergyConstant constant;
  constant.name = name;
  constant.scope = "component";
  constant.nodeNm = node;
  constant.voltageV = machine.voltageV;
  constant.variable = (className + " " + formatv("{0} nm", node)).str();
  Expected<const std::vector<LibraryRow> *> rows = energyLibrary();
  Expected<Estimate> found = rows ? estimate(**rows, className, sizes, node, machine.voltageV)
                                  : Expected<Estimate>(rows.takeError());
  if (found) {
    constant.value = found->value;
    constant.low = found->low;
    constant.high = found->high;
    constant.unit = found->unit;
    constant.confidence = found->confidence;
    constant.source = found->source();
    constant.scope = found->votes[0].row->scope;
    constant.generations = found->generations;
    constant.area = findComponentClass(className)->area;
    constant.limited = found->limited;
  } else {
    constant.source = toString(found.takeError());
    without.push_back(name);
  }
  list.push_back(std::move(constant));
  return list.size() - 1;
}

size_t EnergyTable::given(const std::string &name, const Constant &constant,
                          const std::string &scope, double voltageScale) {
  EnergyConstant added;
  added.name = added.variable = name;
  added.value = constant.value * voltageScale;
  added.low = constant.low * voltageScale;
  added.high = constant.high * voltageScale;
  added.unit = constant.unit;
  added.source = constant.source;
  added.confidence = constant.confidence;
  added.scope = scope;
  list.push_back(std::move(added));
  return list.size() - 1;
}

double EnergyTable::value(const Terms &terms) const {
  double sum = 0;
  for (const Term &term : terms)
    sum += term.factor * list[term.constant].value;
  return sum;
}

std::vector<double> EnergyTable::samples(const Terms &terms) const {
  std::vector<double> sum(kSamples, 0);
  drawn.resize(list.size());
  for (const Term &term : terms) {
    const EnergyConstant &constant = list[term.constant];
    std::vector<double> &values = drawn[term.constant];
    if (values.empty())
      values = drawSamples(constant.variable, constant.value, constant.low, constant.high);
    for (size_t i = 0; i < kSamples; ++i)
      sum[i] += term.factor * values[i];
  }
  return sum;
}

Bounded EnergyTable::bounded(const Terms &terms) const {
  auto [low, high] = interval(samples(terms));
  double middle = value(terms);
  return {middle, std::min(low, middle), std::max(high, middle)};
}

} // namespace npucc

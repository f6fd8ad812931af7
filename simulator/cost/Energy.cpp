//===- Energy.cpp - From counted actions to joules ------------------------===//

#include "simulator/cost/Energy.h"

#include "simulator/cost/Composition.h"

#include "models/energy/Samples.h"

#include <algorithm>

namespace npucc {

const char *componentName(Component component) {
  static const char *const kNames[] = {"matrix", "vector", "scratchpad", "dram",
                                       "noc",    "dma",    "control",    "static"};
  return kNames[static_cast<size_t>(component)];
}

Bounded Energy::total() const {
  Bounded sum;
  for (const Bounded &part : byComponent)
    sum += part;
  return high > 0 ? Bounded{sum.value, low, high} : sum;
}

Energy &Energy::operator+=(const Energy &other) {
  for (size_t i = 0; i < kComponents; ++i)
    byComponent[i] += other.byComponent[i];
  low = high = 0;
  return *this;
}

Component EnergyModel::componentOf(Action action) {
  switch (action) {
  case Action::VectorOp:
    return Component::Vector;
  case Action::ScratchpadReadByte:
  case Action::ScratchpadWriteByte:
    return Component::Scratchpad;
  case Action::DmaByte:
    return Component::Dma;
  case Action::NocByte:
    return Component::Noc;
  case Action::DramReadByte:
  case Action::DramWriteByte:
  case Action::DramActivate:
    return Component::Dram;
  case Action::ControlCommand:
  case Action::HostOp:
  case Action::HostByte:
    return Component::Control;
  default:
    return Component::Matrix;
  }
}

EnergyModel::EnergyModel(const Machine &machine) : constants(machine) {
  areas = areaOf(machine, constants);
  Composition composition = compose(machine, areas, constants);
  actionTerms = std::move(composition.actions);
  powers = std::move(composition.powers);
  for (size_t i = 0; i < actionJ.size(); ++i)
    actionJ[i] = constants.bounded(actionTerms[i]);
  Bounded *const kParts[] = {&power.matrix, &power.vector, &power.scratchpad, &power.core,
                             &power.clock,  &power.dram,   &power.dramRefresh};
  for (size_t i = 0; i < powers.size(); ++i)
    *kParts[i] = constants.bounded(powers[i].second);
}

Bounded EnergyModel::StaticPower::total() const {
  Bounded sum;
  for (const Bounded *part : {&matrix, &vector, &scratchpad, &core, &clock, &dram, &dramRefresh})
    sum += *part;
  return sum;
}

Energy EnergyModel::dynamic(const Actions &actions) const {
  Energy energy;
  for (size_t i = 0; i < actionJ.size(); ++i) {
    double joules = actionJ[i].value * actions.count[i];
    energy[componentOf(static_cast<Action>(i))] += {joules, joules, joules};
  }
  return energy;
}

Energy EnergyModel::total(const Actions &actions, double seconds) const {
  Energy energy = dynamic(actions);
  double joules = power.total().value * seconds;
  energy[Component::Static] = {joules, joules, joules};
  return energy;
}

Terms EnergyModel::runTerms(const Actions &actions, double seconds, const Component *only) const {
  std::vector<double> factors(constants.constants().size(), 0);
  for (size_t i = 0; i < actionTerms.size(); ++i)
    if (!only || componentOf(static_cast<Action>(i)) == *only)
      for (const Term &term : actionTerms[i])
        factors[term.constant] += term.factor * actions.count[i];
  if (!only || *only == Component::Static)
    for (const auto &[name, terms] : powers)
      for (const Term &term : terms)
        factors[term.constant] += term.factor * seconds;
  Terms result;
  for (size_t i = 0; i < factors.size(); ++i)
    if (factors[i] != 0)
      result.push_back({i, factors[i]});
  return result;
}

Energy EnergyModel::sampled(const Actions &actions, double seconds) const {
  Energy energy = total(actions, seconds);
  for (size_t i = 0; i < kComponents; ++i) {
    auto component = static_cast<Component>(i);
    Bounded part = constants.bounded(runTerms(actions, seconds, &component));
    energy.byComponent[i].low = std::min(part.low, energy.byComponent[i].value);
    energy.byComponent[i].high = std::max(part.high, energy.byComponent[i].value);
  }
  Bounded whole = constants.bounded(runTerms(actions, seconds, nullptr));
  energy.low = whole.low;
  energy.high = whole.high;
  return energy;
}

std::vector<double> EnergyModel::samples(const Actions &actions, double seconds) const {
  return constants.samples(runTerms(actions, seconds, nullptr));
}

} // namespace npucc

//===- Energy.cpp - From counted actions to joules ------------------------===//

#include "simulator/cost/Energy.h"

#include <cmath>

namespace npucc {

namespace {

constexpr double kPico = 1e-12;
constexpr double kBitsPerByte = 8;
constexpr double kMebibyte = 1 << 20;

Bounded bounded(const Constant &constant, double factor) {
  return Bounded{constant.value, constant.low, constant.high}.scaled(factor);
}

/// How an SRAM's energy per byte grows with its size.
double sizeFactor(double bytes, int64_t reference, double exponent) {
  return bytes > 0 ? std::pow(bytes / double(reference), exponent) : 1;
}

} // namespace

const char *componentName(Component component) {
  static const char *const kNames[] = {"matrix", "vector", "scratchpad", "dram",
                                       "noc",    "dma",    "control",    "static"};
  return kNames[static_cast<size_t>(component)];
}

Bounded &Bounded::operator+=(const Bounded &other) {
  value += other.value;
  low += other.low;
  high += other.high;
  return *this;
}

Bounded Energy::total() const {
  Bounded sum;
  for (const Bounded &part : byComponent)
    sum += part;
  return sum;
}

Energy &Energy::operator+=(const Energy &other) {
  for (size_t i = 0; i < kComponents; ++i)
    byComponent[i] += other.byComponent[i];
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

EnergyModel::EnergyModel(const Machine &machine) {
  const Technology &technology = machine.technology;
  double volts = machine.voltageV / technology.nominalVoltageV;
  double dynamicScale = kPico * volts * volts;
  // Each column sums into a bank of its own.
  double bank = double(machine.matrix.accumulatorBytes) / double(machine.matrix.cols);

  for (size_t i = 0; i < actionJ.size(); ++i) {
    auto action = static_cast<Action>(i);
    double factor = dynamicScale;
    switch (action) {
    case Action::DramReadByte:
      actionJ[i] = bounded(machine.dram.energy.readPjPerBit, kPico * kBitsPerByte);
      continue;
    case Action::DramWriteByte:
      actionJ[i] = bounded(machine.dram.energy.writePjPerBit, kPico * kBitsPerByte);
      continue;
    case Action::DramActivate:
      actionJ[i] = bounded(machine.dram.energy.activatePj, kPico);
      continue;
    case Action::ScratchpadReadByte:
    case Action::ScratchpadWriteByte:
      factor *= sizeFactor(double(machine.scratchpad.bytes), technology.sramReferenceBytes,
                           technology.sramSizeExponent);
      break;
    case Action::AccumulatorReadByte:
    case Action::AccumulatorWriteByte:
      factor *= sizeFactor(bank, technology.accumulatorReferenceBytes, technology.sramSizeExponent);
      break;
    default:
      break;
    }
    auto found = technology.energyPj.find(actionName(action));
    if (found == technology.energyPj.end())
      without.push_back(actionName(action));
    else
      actionJ[i] = bounded(found->second, factor);
  }

  auto watts = [&](const char *key, double count) {
    auto found = technology.staticW.find(key);
    if (found == technology.staticW.end()) {
      without.push_back(key);
      return Bounded{};
    }
    return bounded(found->second, count * volts * double(machine.cores));
  };
  const char *perMib = "scratchpad.leakage_w_per_mib";
  power.matrix = watts("matrix.leakage_w_per_element",
                       double(machine.matrix.rows) * double(machine.matrix.cols));
  power.matrix += watts(perMib, double(machine.matrix.accumulatorBytes) / kMebibyte);
  power.vector = watts("vector.leakage_w_per_lane", double(machine.vector.lanes));
  power.scratchpad = watts(perMib, double(machine.scratchpad.bytes) / kMebibyte);
  power.core = watts("core.base_w", 1);
  power.dram = bounded(machine.dram.energy.backgroundWPerChannel, double(machine.dramChannels));
  if (machine.dram.tRefiNs > 0) // one refresh every tREFI; one bank at a time costs the same
    power.dramRefresh =
        bounded(machine.dram.energy.refreshPj,
                kPico / (machine.dram.tRefiNs * 1e-9) * double(machine.dramChannels));
}

Bounded EnergyModel::StaticPower::total() const {
  Bounded sum;
  for (const Bounded *part : {&matrix, &vector, &scratchpad, &core, &dram, &dramRefresh})
    sum += *part;
  return sum;
}

Energy EnergyModel::dynamic(const Actions &actions) const {
  Energy energy;
  for (size_t i = 0; i < actionJ.size(); ++i)
    energy[componentOf(static_cast<Action>(i))] += actionJ[i].scaled(actions.count[i]);
  return energy;
}

Energy EnergyModel::total(const Actions &actions, double seconds) const {
  Energy energy = dynamic(actions);
  energy[Component::Static] = power.total().scaled(seconds);
  return energy;
}

} // namespace npucc

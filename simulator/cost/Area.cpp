//===- Area.cpp - Square millimetres of a machine -------------------------===//
//
// Components (multipliers, adders, registers, SRAM cells) times what a layout makes of them. The
// factor for arrays and the one for memories come from chips whose floor plan is published; see
// models/technology/library/chips.yaml.
//
//===----------------------------------------------------------------------===//

#include "simulator/cost/Area.h"

#include <cmath>

using namespace llvm;

namespace npucc {

namespace {

constexpr double kMm2 = 1e-6; ///< of a um2
constexpr double kBitsPerByte = 8;

Sizes bits(double n) {
  Sizes sizes;
  sizes[Size::Bits] = n;
  return sizes;
}

Sizes significand(double n) {
  Sizes sizes;
  sizes[Size::Significand] = n;
  return sizes;
}

class AreaModel {
public:
  AreaModel(const Machine &machine, EnergyTable &table) : m(machine), table(table) {}

  Area build() {
    Area area;
    double elements = double(m.matrix.rows * m.matrix.cols), cores = double(m.cores);
    double element = elementUm2(), lane = laneUm2();
    area.matrix = parts(elements * element, m.matrix.accumulatorBytes, cores);
    area.vector = parts(double(m.vector.lanes) * m.vector.opsPerLanePerCycle * lane, 0, cores);
    area.scratchpad = parts(0, m.scratchpad.bytes, cores);
    area.control = times(component("area_control"), 1).scaled(cores);
    Bounded core = area.matrix;
    for (const Bounded *part : {&area.vector, &area.scratchpad, &area.control})
      core += *part;
    area.noc = times(component("share_noc"), core.value);
    area.dramPhy = times(component(phyClass()), double(m.dramWidthBits));
    area.logicMm2 =
        layout("layout_matrix").value * kMm2 *
            (elements * element + double(m.vector.lanes) * m.vector.opsPerLanePerCycle * lane) *
            cores +
        area.control.value + area.noc.value;
    return area;
  }

private:
  const Machine &m;
  EnergyTable &table;

  const EnergyConstant &component(StringRef name, const Sizes &sizes = {}) {
    return table.constants()[table.component(name, sizes)];
  }
  Bounded layout(StringRef name) {
    const EnergyConstant &factor = component(name);
    return {factor.value, factor.low, factor.high};
  }
  static Bounded times(const EnergyConstant &constant, double factor) {
    return Bounded{constant.value, constant.low, constant.high}.scaled(factor);
  }

  double um2(StringRef name, const Sizes &sizes = {}) { return component(name, sizes).value; }

  /// Multiplier, adder and registers of an element. Precisions share them: the largest integer
  /// and the largest floating-point unit count, each at its rate.
  double elementUm2() {
    struct Format {
      const char *name;
      double bits, significand;
    };
    static const Format kFormats[] = {{"int4", 4, 0},  {"int8", 8, 0},  {"int16", 16, 0},
                                      {"fp8", 8, 4},   {"bf16", 16, 8}, {"fp16", 16, 11},
                                      {"fp32", 32, 24}};
    constexpr double kSumBits = 32;
    double integer = 0, real = 0, operand = 0;
    for (const Format &format : kFormats) {
      auto found = m.matrix.precisions.find(format.name);
      if (found == m.matrix.precisions.end())
        continue;
      double rate = found->second;
      operand = std::max(operand, rate * format.bits);
      if (format.significand > 0)
        real =
            std::max(real, rate * (um2("area_float_multiplier", significand(format.significand)) +
                                   um2("area_float_adder", significand(24))));
      else
        integer = std::max(integer, rate * (um2("area_int_multiplier", bits(format.bits)) +
                                            um2("area_int_adder", bits(kSumBits))));
    }
    double sets = m.matrix.shadowWeights ? 3 : 2; // moving operand, and one or two stationary ones
    return integer + real + um2("area_register") * (sets * operand + kSumBits);
  }

  /// A 32-bit floating-point unit with integer operations, and 32 registers.
  double laneUm2() {
    constexpr double kRegisters = 32, kWidth = 32;
    return um2("area_float_multiplier", significand(24)) +
           um2("area_float_adder", significand(24)) + um2("area_int_adder", bits(kWidth)) +
           kRegisters * kWidth * um2("area_register");
  }

  /// Logic and memory of every core.
  Bounded parts(double logicUm2, int64_t bytes, double cores) {
    Bounded sum;
    if (logicUm2 > 0)
      sum += layout("layout_matrix").scaled(logicUm2 * kMm2 * cores);
    if (bytes > 0)
      sum += layout("layout_sram")
                 .scaled(double(bytes) * kBitsPerByte * um2("area_bitcell") * kMm2 * cores);
    return sum;
  }

  StringRef phyClass() const {
    StringRef standard = m.dramStandard;
    return standard.starts_with("HBM")     ? "phy_hbm"
           : standard.starts_with("GDDR")  ? "phy_gddr"
           : standard.starts_with("LPDDR") ? "phy_lpddr"
                                           : "phy_ddr";
  }
};

} // namespace

Bounded Area::total() const {
  Bounded sum;
  for (const Bounded *part : {&matrix, &vector, &scratchpad, &noc, &dramPhy, &control})
    sum += *part;
  return sum;
}

Area areaOf(const Machine &machine, EnergyTable &table) {
  return AreaModel(machine, table).build();
}

} // namespace npucc

//===- Composition.cpp - What an action's energy is made of ---------------===//
//
// docs/energy.md explains each composition.
//
//===----------------------------------------------------------------------===//

#include "simulator/cost/Composition.h"

#include <algorithm>
#include <cmath>

using namespace llvm;

namespace npucc {

namespace {

constexpr double kPico = 1e-12;
constexpr double kBitsPerByte = 8, kKibibyte = 1024, kMebibyte = 1 << 20;
/// Sums, scales and the vector unit are 32 bits wide.
constexpr double kSumBits = 32;
/// Instructions' worth of fetching and decoding a descriptor.
constexpr double kInstructionsPerCommand = 20;
/// One SRAM row is no wider than this; wider ports take several banks.
constexpr double kWidestRowBits = 1024, kNarrowestRowBits = 64;
/// Of a DMA channel, and of the queue of the memory controller.
constexpr double kDmaBufferKib = 16;
/// A pipeline register each so many mm of a link.
constexpr double kMmPerRegister = 1;

class Composer {
public:
  Composer(const Machine &machine, const Area &area, EnergyTable &table)
      : m(machine), area(area), table(table) {}

  Composition build() {
    macs();
    matrix();
    memories();
    links();
    controlCore();
    dram();
    overrides();
    power();
    return std::move(result);
  }

private:
  const Machine &m;
  const Area &area;
  EnergyTable &table;
  Composition result;

  Terms &at(Action action) { return result.actions[static_cast<size_t>(action)]; }

  size_t component(StringRef name) { return table.component(name); }
  size_t component(StringRef name, Size size, double value) {
    Sizes sizes;
    sizes[size] = value;
    return table.component(name, sizes);
  }
  size_t sram(double bytes, double widthBits) {
    Sizes sizes;
    sizes[Size::Kib] = bytes / kKibibyte;
    sizes[Size::WidthBits] = widthBits;
    return table.component("sram", sizes);
  }
  /// `picojoules` of a constant's units.
  static void add(Terms &terms, size_t constant, double factor) {
    terms.push_back({constant, factor * kPico});
  }

  /// Whether partial sums move from element to element; else an adder tree takes the products.
  bool sumsMove() const { return m.matrix.kind != MatrixKind::DotProduct; }

  /// Multiplier, adder, and the registers that forward operand and partial sum.
  void mac(Action action, double operandBits, double significand) {
    Terms &terms = at(action);
    if (significand > 0) {
      add(terms, component("float_multiplier", Size::Significand, significand), 1);
      add(terms, component("float_adder", Size::Significand, 24), 1);
    } else {
      add(terms, component("int_multiplier", Size::Bits, operandBits), 1);
      add(terms, component("int_adder", Size::Bits, kSumBits), 1);
    }
    add(terms, component("register"), operandBits + (sumsMove() ? kSumBits : 0));
  }

  void macs() {
    mac(Action::MacInt8, 8, 0);
    mac(Action::MacInt16, 16, 0);
    mac(Action::MacFp8, 8, 4);
    mac(Action::MacFp16, 16, 11);
    mac(Action::MacBf16, 16, 8);
    mac(Action::MacFp32, 32, 24);
  }

  void matrix() {
    double side = std::sqrt(area.matrix.value / double(m.cores)); // mm
    // Weights shift through half of the rows, or run over wires to their registers.
    Terms &load = at(Action::WeightLoadByte);
    if (sumsMove()) {
      add(load, component("register"), kBitsPerByte * std::max(1.0, double(m.matrix.rows) / 2));
    } else {
      add(load, component("register"), kBitsPerByte);
      add(load, component("wire"), kBitsPerByte * side / 2);
    }
    // Each column sums into a bank of its own, a sum at a time.
    size_t bank = sram(double(m.matrix.accumulatorBytes) / double(m.matrix.cols), kSumBits);
    add(at(Action::AccumulatorReadByte), bank, kBitsPerByte / kSumBits);
    add(at(Action::AccumulatorWriteByte), bank, kBitsPerByte / kSumBits);
    // Scale, rounding, clamping.
    Terms &output = at(Action::OutputElement);
    add(output, component("int_multiplier", Size::Bits, kSumBits), 1);
    add(output, component("int_adder", Size::Bits, kSumBits), 1);
    add(output, component("register"), 2 * kSumBits);
    // Additions and multiplications are equally frequent; two reads and a write of registers,
    // each through a multiplexer that costs as much again.
    Terms &vector = at(Action::VectorOp);
    add(vector, component("float_adder", Size::Significand, 24), 0.5);
    add(vector, component("float_multiplier", Size::Significand, 24), 0.5);
    add(vector, component("register"), 2 * 3 * kSumBits);
  }

  /// Row of a port that moves so many bytes a cycle.
  static double rowBits(double bytes) {
    return std::clamp(bytes * kBitsPerByte, kNarrowestRowBits, kWidestRowBits);
  }

  /// A bank, and the wires from it to the port: half of the memory's side.
  void memories() {
    double row = rowBits(double(m.scratchpad.writeBytesPerCycle));
    double bank = double(m.scratchpad.bytes) / double(m.scratchpad.banks);
    double side = std::sqrt(area.scratchpad.value / double(m.cores));
    for (Action action : {Action::ScratchpadReadByte, Action::ScratchpadWriteByte}) {
      add(at(action), sram(bank, row), kBitsPerByte / row);
      add(at(action), component("wire"), kBitsPerByte * side / 2);
    }
  }

  /// Half of the chip's perimeter: from a corner, where the memory is, to the middle of a core.
  double linkMm() const { return std::sqrt(area.total().value); }

  void link(Terms &terms, double bitsMoved) {
    add(terms, component("wire"), bitsMoved * linkMm());
    add(terms, component("router"), bitsMoved);
    add(terms, component("register"), bitsMoved * linkMm() / kMmPerRegister);
  }

  /// DMA buffer and the memory controller's queue, each written and read.
  void links() {
    double row = rowBits(double(m.dma.bytesPerCycle));
    add(at(Action::DmaByte), sram(kDmaBufferKib * kKibibyte, row), 4 * kBitsPerByte / row);
    link(at(Action::NocByte), kBitsPerByte);
  }

  void controlCore() {
    size_t instruction = component("instruction");
    add(at(Action::ControlCommand), instruction, kInstructionsPerCommand);
    add(at(Action::HostOp), instruction, 1);
    Terms &byte = at(Action::HostByte);
    constexpr double kCacheKib = 32, kCacheRowBits = 64;
    add(byte, sram(kCacheKib * kKibibyte, kCacheRowBits), kBitsPerByte / kCacheRowBits);
    link(byte, kBitsPerByte);
  }

  void dram() {
    auto given = [&](const char *name, const Constant &constant) {
      return table.given("dram " + m.dramStandard + " " + name, constant, "chip");
    };
    add(at(Action::DramReadByte), given("read", m.dram.energy.readPjPerBit), kBitsPerByte);
    add(at(Action::DramWriteByte), given("write", m.dram.energy.writePjPerBit), kBitsPerByte);
    add(at(Action::DramActivate), given("activate", m.dram.energy.activatePj), 1);
  }

  /// Energies that the technology file gives itself, at its nominal voltage.
  void overrides() {
    double volts = m.voltageV / m.technology.nominalVoltageV;
    for (size_t i = 0; i < result.actions.size(); ++i) {
      std::string name = actionName(static_cast<Action>(i));
      auto found = m.technology.energyPj.find(name);
      if (found != m.technology.energyPj.end())
        result.actions[i] = {
            {table.given(m.technology.name + " " + name, found->second, "component", volts * volts),
             kPico}};
    }
  }

  void power() {
    double cores = double(m.cores);
    size_t logic = component("leakage_logic"), memory = component("leakage_sram");
    double accumulators = double(m.matrix.accumulatorBytes) / kMebibyte * cores;
    // An area's memories leak by the MiB, the rest by the mm2.
    double engines = area.logicMm2 - area.control.value - area.noc.value;
    double vector = area.vector.value, matrix = std::max(0.0, engines - vector);
    result.powers = {{"matrix", {{logic, matrix}, {memory, accumulators}}},
                     {"vector", {{logic, vector}}},
                     {"scratchpad", {{memory, double(m.scratchpad.bytes) / kMebibyte * cores}}},
                     {"core", {{logic, area.control.value + area.noc.value}}},
                     {"clock", {{component("clock_tree"), area.logicMm2 * m.clockHz * kPico}}},
                     {"dram",
                      {{table.given("dram " + m.dramStandard + " background",
                                    m.dram.energy.backgroundWPerChannel, "chip"),
                        double(m.dramChannels)}}}};
    // One refresh every tREFI; one bank at a time costs the same.
    Terms refresh;
    if (m.dram.tRefiNs > 0)
      refresh.push_back(
          {table.given("dram " + m.dramStandard + " refresh", m.dram.energy.refreshPj, "chip"),
           kPico / (m.dram.tRefiNs * 1e-9) * double(m.dramChannels)});
    result.powers.push_back({"dram_refresh", refresh});
  }
};

} // namespace

Composition compose(const Machine &machine, const Area &area, EnergyTable &table) {
  return Composer(machine, area, table).build();
}

} // namespace npucc

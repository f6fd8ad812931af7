//===- Dram.cpp - Bandwidth and energy of DRAM ----------------------------===//
//
// dram-stream: standard (a file of models/dram), channels (1), refresh (all_bank, per_bank), write,
// run_bytes, runs, stride: one copy of `runs` pieces that lie `stride` bytes apart, through the
// simulator. one_bank: memory of a single bank, so that each run in another row pays a row cycle.
// figure: bytes_per_s, share_of_peak, s_per_run.
// dram-energy: standard, write, bytes_per_activate (a page): what a bit costs for access,
// interface and its share of opening a row, in pJ.
//
//===----------------------------------------------------------------------===//

#include "simulator/core/Simulator.h"
#include "simulator/validate/Evaluators.h"

#include "models/machine/Machine.h"

using namespace llvm;

namespace npucc {

namespace {

/// A memory behind a datapath that never binds; the core's clock is that of DRAM commands.
Machine behind(const DramStandard &dram, int64_t channels) {
  Machine m;
  m.name = "copy";
  m.clockHz = m.control.clockHz =
      dram.megaTransfersPerSecond * 1e6 / double(dram.transfersPerClock);
  m.dram = dram;
  m.dramStandard = dram.name;
  m.dramChannels = channels;
  m.dramWidthBits = channels * dram.channelWidthBits;
  m.matrix.rows = m.matrix.cols = m.matrix.accumulatorBytes = 1;
  m.scratchpad.bytes = int64_t(1) << 40;
  m.scratchpad.readBytesPerCycle = m.scratchpad.writeBytesPerCycle = 1 << 16;
  m.dma.bytesPerCycle = 1 << 16;
  return m;
}

struct Copy {
  int64_t runs = 1, runBytes = 1, stride = 1;
  bool write = false;
};

Program program(const Copy &copy) {
  DmaCommand c;
  c.type = ElementType::Int8;
  DmaCommand::Dim runs, bytes;
  runs.extent = copy.runs;
  bytes.extent = copy.runBytes;
  bytes.sourceStride = bytes.targetStride = 1;
  c.source.space = copy.write ? Space::Spm : Space::Dram;
  c.target.space = copy.write ? Space::Dram : Space::Spm;
  (copy.write ? runs.targetStride : runs.sourceStride) = copy.stride;
  (copy.write ? runs.sourceStride : runs.targetStride) = copy.runBytes;
  c.dims = {runs, bytes};
  Program p;
  p.dramBytes = copy.runs * copy.stride;
  p.spmBytes = copy.runs * copy.runBytes;
  p.layers.push_back({"copy", "Copy", 0, false, -1, 0});
  p.commands.push_back({CommandKind::Dma, 0, 0});
  p.dma = {std::move(c)};
  p.streams = {
      {copy.write ? EngineKind::Store : EngineKind::Load, 0, {{Instruction::Kind::Run, 0, false}}}};
  return p;
}

} // namespace

Expected<Figure> dramStream(Fields &fields, Networks &) {
  static const StringRef kFigures[] = {"bytes_per_s", "share_of_peak", "s_per_run"};
  static const StringRef kRefresh[] = {"all_bank", "per_bank"};
  constexpr int64_t kMost = int64_t(1) << 36;
  std::string standard;
  int64_t channels = 1;
  size_t figure = 0, refresh = 0;
  bool oneBank = false;
  Copy copy;
  fields.text("standard", standard);
  fields.integer("channels", channels, 1, 1024, DataMap::Optional);
  fields.choice("refresh", kRefresh, refresh, DataMap::Optional);
  fields.boolean("write", copy.write, DataMap::Optional);
  fields.boolean("one_bank", oneBank, DataMap::Optional);
  fields.integer("runs", copy.runs, 1, 1 << 24);
  fields.integer("run_bytes", copy.runBytes, 1, kMost);
  copy.stride = copy.runBytes;
  fields.integer("stride", copy.stride, 1, kMost, DataMap::Optional);
  fields.choice("figure", kFigures, figure);
  if (Error error = fields.done())
    return std::move(error);
  Expected<DramStandard> dram = loadDram(standard);
  if (!dram)
    return dram.takeError();
  if (oneBank)
    dram->bankGroups = dram->banksPerGroup = 1;
  Machine machine = behind(*dram, channels);
  machine.dramRefreshPerBank = refresh == 1;
  SimulationOptions options;
  options.functional = false;
  Expected<SimulationResult> result = simulate(program(copy), machine, {}, options);
  if (!result)
    return result.takeError();
  double seconds = double(result->cycles) / machine.clockHz;
  double rate = double(copy.runs) * double(copy.runBytes) / seconds;
  return Figure{figure == 0   ? rate
                : figure == 1 ? rate / machine.dramBytesPerSecond()
                              : seconds / double(copy.runs),
                ""};
}

Expected<Figure> dramEnergy(Fields &fields, Networks &) {
  std::string standard;
  bool write = false;
  double bytes = 0;
  fields.text("standard", standard);
  fields.boolean("write", write, DataMap::Optional);
  fields.number("bytes_per_activate", bytes, 1, 1 << 20, DataMap::Optional);
  if (Error error = fields.done())
    return std::move(error);
  Expected<DramStandard> dram = loadDram(standard);
  if (!dram)
    return dram.takeError();
  const DramEnergy &energy = dram->energy;
  const Constant &access = write ? energy.writePjPerBit : energy.readPjPerBit;
  const Constant &row = energy.activatePj;
  double bits = 8 * (bytes > 0 ? bytes : double(dram->pageBytes));
  Figure figure;
  figure.value = access.value + row.value / bits;
  figure.low = access.low + row.low / bits;
  figure.high = access.high + row.high / bits;
  return figure;
}

} // namespace npucc

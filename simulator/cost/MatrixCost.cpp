//===- MatrixCost.cpp - Cycles and actions of a contraction -------------------===//
//
// One formula for every engine that a machine file can describe. The loop dimensions are
// sorted by the machine's unrolling into
//   rows, columns  spatial: multiplied, then cut into ceil(extent / size) tiles
//   stream         the stationary operand does not depend on it: runs while a tile is held
//   time           everything else: each step needs a new stationary tile
// Weight-stationary 128x128 systolic: rows = input channels and window, columns = output
// channels, stream = pixels. NVDLA's dot-product engine: rows = input channels, columns =
// output channels, time = window. Output-stationary arrays stream the reduction instead.
//
// A held tile costs max(streaming, loading the next tile) with shadow registers, as in the
// TPU (Jouppi et al., ISCA 2017, section 2: "weight FIFO ... double-buffered"), and their
// sum without. Column tiles are the outer loop: the output stage empties one while the next one
// accumulates. Checked to the cycle against a weight-stationary array in Verilog (docs/rtl.md,
// tests/rtl), and against the busy cycles of NVDLA's RTL
// (OW * OH * R * S * ceil(C / atomicC) * ceil(K / atomicK)) in tests/simulator/cost.
//
//===----------------------------------------------------------------------===//

#include "simulator/cost/Access.h"
#include "simulator/cost/Cost.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

namespace npucc {

using cost::AccessDims;
using cost::elementBytes;

namespace {

struct Precision {
  double macsPerCycle = 1;
  Action action = Action::MacInt8;
};

/// Formats in the order in which a machine may stand in for one that it lacks.
struct Format {
  const char *name;
  Action action;
};
constexpr Format kIntegers[] = {{"int4", Action::MacInt8},
                                {"int8", Action::MacInt8},
                                {"int16", Action::MacInt16},
                                {"int32", Action::MacFp32},
                                {"fp32", Action::MacFp32}};
constexpr Format kFp8[] = {{"fp8e4m3", Action::MacFp8}, {"fp8e5m2", Action::MacFp8},
                           {"fp8", Action::MacFp8},     {"fp16", Action::MacFp16},
                           {"bf16", Action::MacBf16},   {"fp32", Action::MacFp32}};
constexpr Format kFp16[] = {
    {"fp16", Action::MacFp16}, {"fp32", Action::MacFp32}, {"bf16", Action::MacBf16}};
constexpr Format kBf16[] = {
    {"bf16", Action::MacBf16}, {"fp32", Action::MacFp32}, {"fp16", Action::MacFp16}};
constexpr Format kFp32[] = {
    {"fp32", Action::MacFp32}, {"bf16", Action::MacBf16}, {"fp16", Action::MacFp16}};

/// The arithmetic that operands of these types run in: the wider one's, and where the
/// machine does not list it, the next wider that it lists.
Precision choosePrecision(ElementType a, ElementType b, const MatrixEngine &engine) {
  ElementType wide = a;
  if (isFloat(a) != isFloat(b))
    wide = isFloat(a) ? a : b;
  else if (bitWidth(b) > bitWidth(a))
    wide = b;
  llvm::ArrayRef<Format> order;
  unsigned bits = bitWidth(wide);
  if (!isFloat(wide))
    order = llvm::ArrayRef(kIntegers).drop_front(bits <= 4    ? 0
                                                 : bits <= 8  ? 1
                                                 : bits <= 16 ? 2
                                                              : 3);
  else if (bits <= 8)
    order = kFp8;
  else if (wide == ElementType::Float16)
    order = kFp16;
  else if (wide == ElementType::BFloat16)
    order = kBf16;
  else
    order = kFp32;
  for (const Format &format : order) {
    auto found = engine.precisions.find(format.name);
    if (found != engine.precisions.end() && found->second > 0)
      return {found->second, format.action};
  }
  // Nothing suitable: as slow as the slowest arithmetic that the machine has.
  Precision slowest{1, order.front().action};
  for (const auto &entry : engine.precisions)
    if (entry.second > 0)
      slowest.macsPerCycle = std::min(slowest.macsPerCycle, entry.second);
  return slowest;
}

bool dependsOn(Stationary stationary, const LoopDim &dim) {
  if (dim.role == LoopRole::Batch)
    return true;
  switch (stationary) {
  case Stationary::Weight:
    return dim.role != LoopRole::Stream;
  case Stationary::Input:
    return dim.role != LoopRole::OutChannel;
  case Stationary::Output:
    return !dim.reduction;
  }
  return true;
}

enum class Place : uint8_t { Row, Col, Stream, Time };

/// Extents by place, and how the stream may be spread over idle columns or rows.
struct Mapping {
  int64_t rows = 1, cols = 1, stream = 1, time = 1;
  int64_t timeReduction = 1; ///< the part of `time` that accumulates
  int64_t spread = 1;        ///< copies of a tile that share the stream
};

/// `extent` in tiles of `size`: the full ones, and what the ragged one has (0: there is none).
struct Tiles {
  Tiles(int64_t extent, int64_t size)
      : size(size), full(extent / size), ragged(extent % size), count(full + (ragged ? 1 : 0)) {}
  int64_t first() const { return full ? size : ragged; }
  int64_t size, full, ragged, count;
};

/// The array's work on a command, with its start as cycle 0. Column tiles outside, the reduction
/// inside: `sets` times every column tile, with `passes` times every row tile for each.
class TileWalk {
public:
  TileWalk(Tiles rows, Tiles cols, int64_t sets, int64_t passes, const MatrixEngine &engine,
           int64_t streamCycles, double loadElement)
      : rows(rows), cols(cols), sets(sets), passes(passes), shadow(engine.shadowWeights),
        stream(streamCycles), element(loadElement),
        rate(static_cast<double>(std::max<int64_t>(engine.weightLoadBytesPerCycle, 1))) {}

  /// Loading a tile. The array takes whole rows: as many in a cycle as the bus can fill when they
  /// are full, and no more of them when they are not.
  int64_t load(int64_t r, int64_t c) const {
    auto lanes = static_cast<int64_t>(std::ceil(rate / (static_cast<double>(cols.size) * element)));
    auto bytes = static_cast<double>(r * c) * element;
    return std::max(static_cast<int64_t>(std::ceil(bytes / rate)),
                    static_cast<int64_t>(llvm::divideCeil(r, lanes)));
  }
  int64_t firstLoad() const { return load(rows.first(), cols.first()); }
  int64_t streamEnd() const { return lastStart() + stream; }
  int64_t lastStart() const { return beforeLast(sets * setCycles()); }

  /// When the output stage is through, if a row of `cols.size` sums takes it `fullOut` cycles for
  /// all of a tile's stream, and a ragged one `raggedOut`. It starts on a column tile with the
  /// first sums of its last pass. The tile that it last waited for is one at an end of a series of
  /// equal ones.
  int64_t outputEnd(int64_t fullOut, int64_t raggedOut) const {
    int64_t outSet = cols.full * fullOut + raggedOut, end = 0;
    for (int64_t set : {int64_t(0), sets - 1})
      for (int64_t tile : {int64_t(0), cols.full - 1, cols.full}) {
        if (tile < 0 || tile >= cols.count)
          continue;
        bool last = tile == cols.full;
        int64_t sums = set * setCycles() + (tile + (last ? 0 : 1)) * columnCycles(cols.size) +
                       (last ? columnCycles(cols.ragged) : 0);
        end = std::max(end, beforeLast(sums) + (sets - set) * outSet - tile * fullOut);
      }
    return end;
  }

private:
  Tiles rows, cols;
  int64_t sets, passes;
  bool shadow;
  int64_t stream;
  double element, rate;

  /// From the start of the tile before to the start of this one.
  int64_t step(int64_t r, int64_t c) const {
    return shadow ? std::max(stream, load(r, c)) : stream + load(r, c);
  }
  int64_t columnCycles(int64_t c) const {
    return passes * (rows.full * step(rows.size, c) + (rows.ragged ? step(rows.ragged, c) : 0));
  }
  int64_t setCycles() const {
    return cols.full * columnCycles(cols.size) + (cols.ragged ? columnCycles(cols.ragged) : 0);
  }
  /// The start of a tile, from the steps to all tiles up to it: the first one starts at 0.
  int64_t beforeLast(int64_t steps) const { return steps - step(rows.first(), cols.first()); }
};

/// Bytes that the port spends on `bytes` useful ones of an operand. The feeder has a FIFO per
/// row (and the loader and output stage one per column), filled with words that run either
/// across the array (`across`) or along the stream (`along`): the better of the two counts.
double portBytes(double bytes, double element, double word, const AccessDims &across,
                 const AccessDims &along) {
  double useful = std::max(across.usefulBytes(element, word), along.usefulBytes(element, word));
  return bytes * (word / useful);
}

int64_t fillDrainCycles(const MatrixEngine &engine) {
  // Data moves one element per cycle through a systolic or row-stationary array: the last element
  // works rows - 1 + columns - 1 cycles after the first. (The same count is in SCALE-Sim's
  // 2 * rows + columns + T - 2 of Samajdar et al., arXiv 1811.02883, with `rows` for the load.)
  // An adder tree has a register per level.
  if (engine.kind == MatrixKind::DotProduct || engine.kind == MatrixKind::InMemory)
    return llvm::Log2_64_Ceil(static_cast<uint64_t>(std::max<int64_t>(engine.rows, 1)));
  return std::max<int64_t>(engine.rows, 1) + std::max<int64_t>(engine.cols, 1) - 2;
}

} // namespace

CommandCost matrixCost(const MatrixCommand &command, llvm::ArrayRef<int64_t> extents, bool clears,
                       bool runsEpilogue, const Machine &machine) {
  const MatrixEngine &engine = machine.matrix;
  CommandCost cost;
  cost.bound = Bound::Matrix;
  cost.actions[Action::ControlCommand] = 1;
  cost.cycles = cost.latencyCycles = cost.workCycles = 1; // an empty command is still decoded
  if (llvm::is_contained(extents, 0))
    return cost;

  Mapping map;
  llvm::SmallVector<Place, 8> places;
  int64_t spreadable = 1; // stream extents that may also lie on rows or columns
  double macs = 1, outElements = 1;
  for (auto [dim, extent] : llvm::zip_equal(command.dims, extents)) {
    macs *= static_cast<double>(extent);
    if (!dim.reduction)
      outElements *= static_cast<double>(extent);
    bool onRows = llvm::is_contained(engine.rowDims, dim.role);
    bool onCols = llvm::is_contained(engine.colDims, dim.role);
    Place place = Place::Time;
    if (!dependsOn(engine.stationary, dim)) {
      place = Place::Stream;
      map.stream *= extent;
      if (onRows || onCols)
        spreadable *= extent;
    } else if (onRows) {
      place = Place::Row;
      map.rows *= extent;
    } else if (onCols) {
      place = Place::Col;
      map.cols *= extent;
    } else {
      map.time *= extent;
      if (dim.reduction)
        map.timeReduction *= extent;
    }
    places.push_back(place);
  }
  // Idle columns and rows take copies of the stationary tile, each with its share of the stream.
  const int64_t R = std::max<int64_t>(engine.rows, 1), C = std::max<int64_t>(engine.cols, 1);
  if (spreadable > 1) {
    int64_t room = std::max<int64_t>(1, C / std::min(map.cols, C)) *
                   std::max<int64_t>(1, R / std::min(map.rows, R));
    map.spread = std::min(spreadable, room);
  }

  const Precision precision = choosePrecision(command.a.type, command.b.type, engine);
  const double aBytes = elementBytes(command.a.type), bBytes = elementBytes(command.b.type);
  constexpr double kAccumulatorBytes = 4;
  const bool loadsInput = engine.stationary == Stationary::Input;
  const bool loadsNothing = engine.stationary == Stationary::Output;
  // Output-stationary: the "load" of a tile is the shift-out of the finished one.
  const double loadElement = loadsNothing ? kAccumulatorBytes : loadsInput ? aBytes : bBytes;
  const auto streamSteps = static_cast<int64_t>(llvm::divideCeil(map.stream, map.spread));
  const auto streamCycles =
      static_cast<int64_t>(std::ceil(static_cast<double>(streamSteps) / precision.macsPerCycle));

  // Each row tile passes once for every column tile and the other way round.
  const Tiles rowTiles(map.rows, R), colTiles(map.cols, C);
  const TileWalk walk(rowTiles, colTiles, map.time / map.timeReduction, map.timeReduction, engine,
                      streamCycles, loadElement);
  auto times = [&](int64_t a, int64_t b) {
    return static_cast<double>(map.time) * static_cast<double>(a) * static_cast<double>(b);
  };
  double rowTraffic = times(map.stream * map.rows, colTiles.count); // elements
  double colTraffic = times(map.stream * map.cols, rowTiles.count);
  double loadTraffic = times(map.rows, map.cols);
  // Which operand enters along the rows, which along the columns, which is held.
  double aElements = loadsInput ? loadTraffic : rowTraffic;
  double bElements = loadsNothing || loadsInput ? colTraffic : loadTraffic;
  if (loadsInput)
    bElements = rowTraffic;

  AccessDims aAcross, aAlong, bAcross, bAlong, outAcross, outAlong;
  for (size_t d = 0; d < places.size(); ++d) {
    bool stream = command.dims[d].role == LoopRole::Stream;
    (stream ? aAlong : aAcross)
        .add(places[d] == Place::Time ? 1 : extents[d], command.a.strides[d]);
    bool col = command.dims[d].role == LoopRole::OutChannel;
    (col ? bAlong : bAcross).add(places[d] == Place::Time ? 1 : extents[d], command.b.strides[d]);
    if (!command.dims[d].reduction && runsEpilogue)
      (col ? outAcross : outAlong).add(extents[d], command.out.strides[d]);
  }
  const Scratchpad &spm = machine.scratchpad;
  const double readWord = std::max<double>(1, static_cast<double>(spm.readBytesPerCycle) / 2);
  const auto writeWord = static_cast<double>(std::max<int64_t>(spm.writeBytesPerCycle, 1));
  double readPort = portBytes(aElements * aBytes, aBytes, readWord, aAcross, aAlong) +
                    portBytes(bElements * bBytes, bBytes, readWord, bAcross, bAlong);
  double readBytes = aElements * aBytes + bElements * bBytes;
  double writePort = 0, writeBytes = 0;
  if (runsEpilogue) {
    for (const Operand &input : command.epilogueInputs) {
      double element = elementBytes(input.type), unique = 1;
      AccessDims across, along;
      for (size_t d = 0; d < extents.size() && d < input.strides.size(); ++d) {
        if (input.strides[d] == 0 || command.dims[d].reduction)
          continue;
        unique *= static_cast<double>(extents[d]);
        (command.dims[d].role == LoopRole::OutChannel ? across : along)
            .add(extents[d], input.strides[d]);
      }
      readPort += portBytes(unique * element, element, readWord, across, along);
      readBytes += unique * element;
    }
    double outBytes = elementBytes(command.out.type);
    writeBytes = outElements * outBytes;
    writePort = portBytes(writeBytes, outBytes, writeWord, outAcross, outAlong);
  }
  cost.leadCycles = walk.firstLoad();
  cost.workCycles = walk.streamEnd();
  // The next command's first tile loads behind this one's last tile, or after it.
  const int64_t released = engine.shadowWeights ? walk.lastStart() : walk.streamEnd();
  if (runsEpilogue) {
    const int64_t outRate = std::max<int64_t>(engine.outputElementsPerCycle, 1);
    auto out = [&](int64_t cols) { // accumulators are read a row at a time
      return std::max(streamSteps * (int64_t)llvm::divideCeil(cols * map.spread, outRate),
                      cols ? streamCycles : 0);
    };
    // Output-stationary tiles have left the array when they reach the output stage.
    int64_t outEnd = loadsNothing ? (int64_t)std::ceil(outElements / static_cast<double>(outRate))
                                  : walk.outputEnd(out(C), out(colTiles.ragged));
    cost.workCycles = std::max(cost.workCycles, outEnd);
  }
  cost.overlapCycles = cost.workCycles - released;
  cost.cycles = std::max(released + cost.leadCycles, cost.workCycles);
  cost.readPortCycles = readPort / (2 * readWord);
  cost.writePortCycles = writePort / writeWord;
  auto portCycles =
      static_cast<int64_t>(std::ceil(std::max(cost.readPortCycles, cost.writePortCycles)));
  if (portCycles > cost.cycles) {
    cost.workCycles += portCycles - cost.cycles;
    cost.cycles = portCycles;
    cost.bound = Bound::Scratchpad;
  }
  cost.latencyCycles =
      cost.leadCycles + cost.workCycles + fillDrainCycles(engine) + engine.pipelineCycles;

  // Partial sums pass through the accumulators once per step of the reduction in time.
  double passes = loadsNothing ? 1 : static_cast<double>(map.timeReduction * rowTiles.count);
  cost.actions[precision.action] = macs;
  cost.actions[Action::WeightLoadByte] =
      loadsNothing ? 0 : (loadsInput ? aElements * aBytes : bElements * bBytes);
  cost.actions[Action::AccumulatorReadByte] =
      outElements * kAccumulatorBytes * (passes - (clears ? 1 : 0) + (runsEpilogue ? 1 : 0));
  cost.actions[Action::AccumulatorWriteByte] = outElements * kAccumulatorBytes * passes;
  cost.actions[Action::OutputElement] = runsEpilogue ? outElements : 0;
  cost.actions[Action::ScratchpadReadByte] = readBytes;
  cost.actions[Action::ScratchpadWriteByte] = writeBytes;
  return cost;
}

} // namespace npucc

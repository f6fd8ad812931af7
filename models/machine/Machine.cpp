//===- Machine.cpp - Reading and checking the machine file ----------------===//

#include "models/machine/Machine.h"

#include "models/machine/DataFile.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <cstdlib>

using namespace llvm;

namespace npucc {

namespace {

constexpr int64_t kMaxBytes = int64_t(1) << 40;
constexpr int64_t kMaxBytesPerCycle = 1 << 20;

const StringRef kKinds[] = {"systolic", "dot_product", "row_stationary", "in_memory"};
const StringRef kStationary[] = {"weight", "input", "output"};
/// By LoopRole, without Other.
const StringRef kRoles[] = {"batch", "stream", "out_channel", "in_channel", "window"};

/// What unrolls on the rows and columns of each kind, unless the file says otherwise.
void presetUnrolling(MatrixEngine &matrix) {
  matrix.colDims = {LoopRole::OutChannel};
  switch (matrix.kind) {
  case MatrixKind::Systolic:
  case MatrixKind::InMemory:
    // A column sums whatever its rows multiply: channels, and window positions beside them.
    matrix.rowDims = {LoopRole::InChannel, LoopRole::Window};
    break;
  case MatrixKind::DotProduct:
    // NVDLA feeds one pixel's channel vector to all its adder trees.
    matrix.rowDims = {LoopRole::InChannel};
    break;
  case MatrixKind::RowStationary:
    // Eyeriss: filter rows (and channels) down, output rows across.
    matrix.rowDims = {LoopRole::Window, LoopRole::InChannel};
    matrix.colDims = {LoopRole::Stream};
    break;
  }
}

void readRoles(DataFile &file, DataMap &map, StringRef key, std::vector<LoopRole> &out) {
  const DataNode *node = map.find(key, DataMap::Optional);
  if (!node)
    return;
  if (node->kind != DataNode::Kind::List || node->children.empty()) {
    file.error(*node, "core.matrix.unroll." + key + " must be a list of " +
                          join(std::begin(kRoles), std::end(kRoles), ", "));
    return;
  }
  out.clear();
  for (const DataNode &entry : node->children) {
    const StringRef *found = find(kRoles, StringRef(entry.scalar));
    if (entry.kind != DataNode::Kind::Scalar || found == std::end(kRoles)) {
      file.error(entry, "'" + entry.scalar + "' must be one of " +
                            join(std::begin(kRoles), std::end(kRoles), ", "));
      continue;
    }
    auto role = static_cast<LoopRole>(found - std::begin(kRoles));
    if (is_contained(out, role))
      file.error(entry, "'" + entry.scalar + "' stands twice");
    out.push_back(role);
  }
}

void readPrecisions(DataFile &file, DataMap map, MatrixEngine &matrix) {
  static const std::vector<std::string> kNames = {"int4",    "int8", "int16", "fp8", "fp8e4m3",
                                                  "fp8e5m2", "fp16", "bf16",  "fp32"};
  for (const DataNode &entry : map.entries()) {
    if (!is_contained(kNames, entry.key)) {
      file.error(entry.keyLine, entry.keyColumn,
                 "unknown precision '" + entry.key + "'" + suggestion(entry.key, kNames) +
                     " (known: " + join(kNames, ", ") + ")");
      continue;
    }
    double rate = 0;
    if (!readNumber(file, entry, "core.matrix.precisions." + entry.key, 1e-6, 1024, rate))
      continue;
    if (entry.key == "fp8")
      matrix.precisions["fp8e4m3"] = matrix.precisions["fp8e5m2"] = rate;
    else
      matrix.precisions[entry.key] = rate;
  }
  if (map.present() && map.entries().empty())
    file.error(*map.where(), "core.matrix.precisions must name at least one precision");
}

void readMatrix(DataFile &file, DataMap map, MatrixEngine &matrix) {
  size_t kind = 0, stationary = 0;
  map.choice("kind", kKinds, kind);
  matrix.kind = static_cast<MatrixKind>(kind);
  map.integer("rows", matrix.rows, 1, 1 << 16);
  map.integer("cols", matrix.cols, 1, 1 << 16);
  map.choice("stationary", kStationary, stationary, DataMap::Optional);
  matrix.stationary = static_cast<Stationary>(stationary);
  readPrecisions(file, map.map("precisions"), matrix);
  if (map.integer("accumulator_bytes", matrix.accumulatorBytes, 4, kMaxBytes) && matrix.cols > 0 &&
      matrix.accumulatorBytes < 4 * matrix.cols)
    file.error(*map.find("accumulator_bytes"),
               "core.matrix.accumulator_bytes is " + Twine(matrix.accumulatorBytes) +
                   "; one 4-byte sum for each of the " + Twine(matrix.cols) + " columns takes " +
                   Twine(4 * matrix.cols));
  map.integer("weight_load_bytes_per_cycle", matrix.weightLoadBytesPerCycle, 1, kMaxBytesPerCycle);
  map.boolean("shadow_weights", matrix.shadowWeights, DataMap::Optional);
  map.integer("output_elements_per_cycle", matrix.outputElementsPerCycle, 1, 1 << 16);
  map.integer("pipeline_cycles", matrix.pipelineCycles, 0, 1 << 20, DataMap::Optional);
  presetUnrolling(matrix);
  DataMap unroll = map.map("unroll", DataMap::Optional);
  readRoles(file, unroll, "rows", matrix.rowDims);
  readRoles(file, unroll, "cols", matrix.colDims);
  unroll.finish();
  map.finish();
}

/// Slots of the vector pipeline per scalar operation, where the file does not say. Functions
/// take 4: GPUs of compute capability 8.0 give 16 results of reciprocal, reciprocal square
/// root, exp2, log2, sine and cosine per cycle beside 64 additions (CUDA C++ Programming
/// Guide, table "Throughput of Native Arithmetic Instructions"). What takes more is a sum of
/// them: see docs/machine-model.md.
void presetOpCosts(VectorEngine &vector) {
  vector.opCost = {{"exp", 4},     {"log", 4},  {"sqrt", 4}, {"rsqrt", 4},  {"reciprocal", 4},
                   {"sin", 4},     {"cos", 4},  {"tanh", 4}, {"div", 4},    {"mod", 6},
                   {"sigmoid", 6}, {"pow", 9},  {"erf", 16}, {"lookup", 2}, {"constant", 0},
                   {"input", 0},   {"index", 0}};
}

void readVector(DataFile &file, DataMap map, VectorEngine &vector) {
  map.integer("lanes", vector.lanes, 1, 1 << 16);
  map.number("ops_per_lane_per_cycle", vector.opsPerLanePerCycle, 1e-6, 1024);
  map.integer("pipeline_cycles", vector.pipelineCycles, 0, 1 << 20, DataMap::Optional);
  presetOpCosts(vector);
  std::vector<std::string> names;
  for (int op = 0; opCostName(static_cast<BodyOp>(op)); ++op)
    names.push_back(opCostName(static_cast<BodyOp>(op)));
  for (const DataNode &entry : map.map("op_cost", DataMap::Optional).entries()) {
    double cost = 0;
    if (!is_contained(names, entry.key))
      file.error(entry.keyLine, entry.keyColumn,
                 "unknown operation '" + entry.key + "'" + suggestion(entry.key, names));
    else if (readNumber(file, entry, "core.vector.op_cost." + entry.key, 0, 1e6, cost))
      vector.opCost[entry.key] = cost;
  }
  map.finish();
}

void readCore(DataFile &file, DataMap map, Machine &machine) {
  map.integer("count", machine.cores, 1, 4096);
  readMatrix(file, map.map("matrix"), machine.matrix);
  readVector(file, map.map("vector"), machine.vector);

  DataMap scratchpad = map.map("scratchpad");
  scratchpad.integer("bytes", machine.scratchpad.bytes, 1024, kMaxBytes);
  scratchpad.integer("banks", machine.scratchpad.banks, 1, 1 << 16);
  scratchpad.integer("read_bytes_per_cycle", machine.scratchpad.readBytesPerCycle, 1,
                     kMaxBytesPerCycle);
  scratchpad.integer("write_bytes_per_cycle", machine.scratchpad.writeBytesPerCycle, 1,
                     kMaxBytesPerCycle);
  scratchpad.finish();

  DataMap dma = map.map("dma");
  dma.integer("load_channels", machine.dma.loadChannels, 1, 64);
  dma.integer("store_channels", machine.dma.storeChannels, 1, 64);
  dma.integer("bytes_per_cycle", machine.dma.bytesPerCycle, 1, kMaxBytesPerCycle);
  dma.integer("setup_cycles", machine.dma.setupCycles, 0, 1 << 20, DataMap::Optional);
  dma.finish();
  map.finish();
}

void readControl(DataMap map, Control &control) {
  map.text("kind", control.kind);
  map.number("clock_hz", control.clockHz, 1e3, 1e12);
  map.number("ops_per_cycle", control.opsPerCycle, 1e-6, 1e6);
  map.number("bytes_per_cycle", control.bytesPerCycle, 1e-6, 1e6);
  map.integer("interrupt_cycles", control.interruptCycles, 0, 1 << 30);
  map.finish();
}

/// The machine's channels may be `gang` channels of the standard that run in lockstep.
void widen(DramStandard &dram, int64_t gang) {
  dram.channelWidthBits *= gang;
  dram.pageBytes *= gang;
  for (Constant *constant :
       {&dram.energy.activatePj, &dram.energy.refreshPj, &dram.energy.backgroundWPerChannel})
    for (double *number : {&constant->value, &constant->low, &constant->high})
      *number *= static_cast<double>(gang);
}

void readDram(DataFile &file, DataMap map, Machine &machine) {
  map.integer("channels", machine.dramChannels, 1, 4096);
  bool haveWidth = map.integer("width_bits", machine.dramWidthBits, 1, 1 << 20);
  if (map.text("standard", machine.dramStandard)) {
    if (Expected<DramStandard> dram = loadDram(machine.dramStandard))
      machine.dram = *dram;
    else
      file.error(*map.find("standard"), toString(dram.takeError()));
  }
  int64_t unit = machine.dram.channelWidthBits * machine.dramChannels;
  if (haveWidth && !file.failed()) {
    if (machine.dramWidthBits % unit)
      file.error(*map.find("width_bits"), "dram.width_bits is " + Twine(machine.dramWidthBits) +
                                              "; " + Twine(machine.dramChannels) + " channels of " +
                                              machine.dramStandard + " are a multiple of " +
                                              Twine(unit) + " bits wide");
    else
      widen(machine.dram, machine.dramWidthBits / unit);
  }
  size_t refresh = 0;
  if (map.choice("refresh", {"all_bank", "per_bank"}, refresh, DataMap::Optional)) {
    machine.dramRefreshPerBank = refresh == 1;
    if (refresh == 1 && machine.dram.tRfcBankNs <= 0 && !file.failed())
      file.error(*map.find("refresh"), "dram.refresh is per_bank, and models/dram/" +
                                           machine.dramStandard +
                                           ".yaml has no tRFC_pb; use all_bank");
  }
  map.finish();
}

bool isModelsFolder(const Twine &path) {
  SmallString<256> npu;
  path.toVector(npu);
  sys::path::append(npu, "npu");
  return sys::fs::is_directory(npu);
}

int executableAnchor; // an address in this binary, for getMainExecutable

} // namespace

const char *opCostName(BodyOp op) {
  static const char *const kNames[] = {
      "constant", "input", "index",   "add",      "sub",        "mul",      "div",  "mod",
      "max",      "min",   "neg",     "abs",      "fma",        "equal",    "less", "less_equal",
      "and",      "or",    "xor",     "not",      "select",     "floor",    "ceil", "round",
      "exp",      "log",   "sqrt",    "rsqrt",    "reciprocal", "tanh",     "erf",  "sin",
      "cos",      "pow",   "sigmoid", "to_float", "to_int",     "round_to", "wrap", "lookup"};
  static_assert(std::size(kNames) == static_cast<size_t>(BodyOp::Lookup) + 1);
  auto index = static_cast<size_t>(op);
  return index < std::size(kNames) ? kNames[index] : nullptr;
}

std::string_view arithmeticName(ElementType type) {
  switch (type) {
  case ElementType::Uint8:
    return name(ElementType::Int8);
  case ElementType::Uint16:
    return name(ElementType::Int16);
  case ElementType::Uint4:
    return name(ElementType::Int4);
  case ElementType::Int4:
  case ElementType::Int8:
  case ElementType::Int16:
  case ElementType::Float8E4M3FN:
  case ElementType::Float8E5M2:
  case ElementType::Float16:
  case ElementType::BFloat16:
  case ElementType::Float32:
    return name(type);
  default:
    return "";
  }
}

double Machine::peakMacsPerSecond(ElementType type) const {
  auto found = matrix.precisions.find(std::string(arithmeticName(type)));
  if (found == matrix.precisions.end())
    return 0;
  return double(matrix.rows) * double(matrix.cols) * found->second * clockHz * double(cores);
}

double Machine::dramBytesPerSecond() const {
  return dram.megaTransfersPerSecond * 1e6 * double(dramWidthBits) / 8;
}

Expected<Machine> parseMachine(StringRef text, StringRef fileName) {
  DataFile file(fileName);
  DataNode root = file.parse(text);
  if (file.failed())
    return file.takeError();

  Machine machine;
  machine.file = fileName.str();
  machine.text = text.str();
  DataMap map(file, &root, "");
  map.text("name", machine.name);
  if (map.text("technology", machine.technologyName)) {
    if (Expected<Technology> technology = loadTechnology(machine.technologyName))
      machine.technology = std::move(*technology);
    else
      file.error(*map.find("technology"), toString(technology.takeError()));
  }
  map.number("voltage_v", machine.voltageV, 0.1, 5);
  map.number("clock_hz", machine.clockHz, 1e3, 1e12);
  readCore(file, map.map("core"), machine);
  readControl(map.map("control"), machine.control);
  readDram(file, map.map("dram"), machine);
  map.finish();
  if (file.failed())
    return file.takeError();
  return machine;
}

Expected<Machine> loadMachine(StringRef nameOrFile) {
  SmallString<256> path(nameOrFile);
  bool isFile =
      nameOrFile.ends_with(".yaml") || nameOrFile.ends_with(".yml") || nameOrFile.contains('/');
  if (!isFile) {
    std::vector<std::string> names = listMachines();
    if (!is_contained(names, nameOrFile))
      return createStringError("no NPU is named '" + nameOrFile + "'" +
                               suggestion(nameOrFile, names) + " (bundled: " + join(names, ", ") +
                               "; or give a .yaml file)");
    path = modelsFolder();
    sys::path::append(path, "npu", nameOrFile + ".yaml");
  }
  Expected<std::string> text = readDataText(path.str().str());
  if (!text)
    return text.takeError();
  return parseMachine(*text, path);
}

std::vector<std::string> listMachines() { return listDataFiles("npu"); }

std::string modelsFolder() {
  if (const char *folder = std::getenv("NPUCC_MODELS"); folder && *folder)
    return folder;
  // Installed (PREFIX/bin), or in the build folder of a source tree (build/bin).
  SmallString<256> bin(sys::fs::getMainExecutable(nullptr, &executableAnchor));
  sys::path::remove_filename(bin);
  for (StringRef relative : {"../share/npucc/models", "../../models"}) {
    SmallString<256> folder(bin);
    sys::path::append(folder, relative);
    sys::path::remove_dots(folder, /*remove_dot_dot=*/true);
    if (isModelsFolder(folder))
      return folder.str().str();
  }
#ifdef NPUCC_MODELS_DIR
  return NPUCC_MODELS_DIR;
#else
  return "models";
#endif
}

} // namespace npucc

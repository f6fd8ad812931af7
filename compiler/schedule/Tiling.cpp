//===- Tiling.cpp - One way to run a group on tiles ---------------------------===//

#include "compiler/schedule/Tiling.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
namespace npu = npucc::npu;
namespace onnx = npucc::onnx;
using npucc::BodyInst;
using npucc::BodyOp;
using npucc::CommandCost;
using npucc::DmaCommand;
using npucc::DmaCost;
using npucc::ElementType;
using npucc::LoopDim;
using npucc::LoopRole;
using npucc::Machine;
using npucc::MatrixCommand;
using npucc::Operand;
using npucc::Space;
using npucc::storageType;
using npucc::VectorCommand;
namespace schedule = npucc::schedule;
using namespace npucc::schedule;

static constexpr int64_t kAlign = 64; // a scratchpad word, a DRAM burst

int64_t TiledGroup::extent(int op, unsigned dim) const {
  const GroupOp &info = group->ops[op];
  if (info.rootDim[dim] >= 0)
    return sizes.root[info.rootDim[dim]];
  if (op == group->splittable())
    return sizes.reduction[dim];
  return info.extents[dim];
}

int TiledGroup::level(int op, unsigned dim) const {
  const GroupOp &info = group->ops[op];
  if (info.rootDim[dim] >= 0) {
    for (size_t i = 0; i < sizes.order.size(); ++i)
      if (sizes.order[i] == info.rootDim[dim])
        return i + 1;
    return 0;
  }
  if (op == group->splittable())
    for (size_t i = 0; i < reductionOrder.size(); ++i)
      if (reductionOrder[i] == int(dim))
        return sizes.order.size() + i + 1;
  return 0;
}

int64_t TiledGroup::tripsAt(int level) const {
  if (level <= int(sizes.order.size()))
    return trips[sizes.order[level - 1]];
  return reductionTrips[reductionOrder[level - 1 - sizes.order.size()]];
}

int64_t TiledGroup::executions(int level) const {
  int64_t result = 1;
  for (int l = 1; l <= level; ++l)
    result *= tripsAt(l);
  return result;
}

/// Packs `sizes` in the order given (outermost first).
static void pack(Tile &tile, ArrayRef<int> order) {
  tile.strides.assign(tile.sizes.size(), 0);
  int64_t stride = 1;
  for (size_t i = order.size(); i-- > 0;) {
    tile.strides[order[i]] = stride;
    stride *= tile.sizes[order[i]];
  }
  tile.bytes = llvm::alignTo(stride * npu::elementBytes(tile.elementType), kAlign);
}

/// A whole constant in C order, whatever its shape.
static bool isRowMajor(const View &view) {
  if (view.padded() || view.offset != 0)
    return false;
  int64_t stride = 1;
  for (size_t r = view.shape.size(); r-- > 0;) {
    if (view.shape[r] != 1 && view.strides[r] != stride)
      return false;
    stride *= view.shape[r];
  }
  return stride * npu::elementBytes(view.storage->elementType) == view.storage->bytes;
}

/// Dims by stride, outermost first: the memory order of a view.
static SmallVector<int> memoryOrder(ArrayRef<int64_t> strides, ArrayRef<int64_t> shape) {
  SmallVector<int> order;
  for (size_t r = 0; r < strides.size(); ++r)
    order.push_back(r);
  llvm::stable_sort(order, [&](int x, int y) {
    // Unit dims have arbitrary strides; leave them outside.
    int64_t sx = shape[x] == 1 ? INT64_MAX : strides[x],
            sy = shape[y] == 1 ? INT64_MAX : strides[y];
    return sx > sy;
  });
  return order;
}

/// Where each root dim stands in the memory order of the root's result (0: outermost).
static SmallVector<int> rootPositions(const Group &group, const StorageMap &storages) {
  const GroupOp &root = group.root();
  const View &view = storages.view(root.op->getResult(0));
  SmallVector<int> position(root.extents.size(), -1);
  for (auto [rank, r] : llvm::enumerate(memoryOrder(view.strides, view.shape)))
    for (size_t d = 0; d < root.extents.size(); ++d)
      if (root.output.coefficients[r][d])
        position[d] = rank;
  return position;
}

/// Order for a value that follows the root's layout: by the position of the root dim that a
/// dim walks; what the op reduces or keeps to itself stands outside.
static SmallVector<int> orderLikeRoot(const GroupOp &op, const LinearMap &map,
                                      ArrayRef<int> positions) {
  SmallVector<int> order, key;
  for (size_t r = 0; r < map.coefficients.size(); ++r) {
    int k = -1;
    for (size_t d = 0; d < op.extents.size(); ++d)
      if (map.coefficients[r][d] && op.rootDim[d] >= 0)
        k = std::max(k, positions[op.rootDim[d]]);
    order.push_back(r);
    key.push_back(k);
  }
  llvm::stable_sort(order, [&](int x, int y) { return key[x] < key[y]; });
  return order;
}

TiledGroup schedule::tile(const Group &group, TileSizes sizes, const StorageMap &storages) {
  TiledGroup t;
  t.group = &group;
  t.sizes = std::move(sizes);
  const GroupOp &root = group.root();
  for (size_t d = 0; d < root.extents.size(); ++d)
    t.trips.push_back(llvm::divideCeil(root.extents[d], t.sizes.root[d]));
  if (group.splittable() >= 0) {
    const GroupOp &c = group.ops[group.splittable()];
    for (size_t d = 0; d < c.extents.size(); ++d) {
      int64_t trips = c.rootDim[d] >= 0 ? 1 : llvm::divideCeil(c.extents[d], t.sizes.reduction[d]);
      t.reductionTrips.push_back(trips);
      if (trips > 1)
        t.reductionOrder.push_back(d);
    }
  }
  SmallVector<int> positions = rootPositions(group, storages);

  // Depth of each op: the innermost root loop that it depends on.
  for (size_t o = 0; o < group.ops.size(); ++o) {
    int depth = 0;
    for (size_t d = 0; d < group.ops[o].extents.size(); ++d)
      if (group.ops[o].rootDim[d] >= 0)
        depth = std::max(depth, t.level(o, d));
    t.depth.push_back(depth);
  }

  std::map<std::vector<int64_t>, int> loaded; // equal loads share a tile
  for (size_t o = 0; o < group.ops.size(); ++o) {
    const GroupOp &op = group.ops[o];
    t.inputs.emplace_back();
    for (size_t i = 0; i < op.inputs.size(); ++i) {
      const OpInput &input = op.inputs[i];
      Placement placement;
      if (input.shapeOnly) {
        placement.how = Placement::How::Shape;
      } else if (input.producer >= 0) {
        placement = t.outputs[input.producer];
      } else {
        const View &view = storages.view(input.value);
        if (!view.storage->resident) {
          placement.how = Placement::How::Tiled;
          Tile tile;
          tile.value = input.value;
          tile.op = o;
          tile.input = i;
          tile.elementType = view.storage->elementType;
          tile.constant = view.storage->kind == Storage::Kind::Constant;
          std::vector<int64_t> key{int64_t(intptr_t(input.value.getAsOpaquePointer()))};
          bool single = true;
          for (size_t r = 0; r < view.shape.size(); ++r) {
            int64_t size = 1;
            const auto &row = input.map.coefficients[r];
            int nonzero = 0;
            for (size_t d = 0; d < row.size(); ++d) {
              if (!row[d])
                continue;
              ++nonzero;
              single &= row[d] == 1;
              size += row[d] * (t.extent(o, d) - 1);
              int level = t.level(o, d);
              tile.level = std::max(tile.level, level);
              if (level > 0) {
                key.push_back(level);
                key.push_back(row[d]);
              }
            }
            single &= nonzero <= 1;
            if (input.table)
              size = view.shape[r];
            tile.sizes.push_back(std::min(size, view.shape[r]));
            key.push_back(-tile.sizes.back());
            key.push_back(input.map.constants[r]);
          }
          auto [found, fresh] = loaded.try_emplace(key, t.tiles.size());
          placement.tile = found->second;
          if (fresh) {
            tile.packed = tile.constant && single && isRowMajor(view);
            if (tile.packed) {
              SmallVector<int> order = orderLikeRoot(op, input.map, positions);
              tile.order.assign(order.begin(), order.end());
              pack(tile, order);
            } else {
              pack(tile, memoryOrder(view.strides, view.shape));
            }
            tile.slots = t.executions(tile.level) > 1 ? 2 : 1;
            t.tiles.push_back(tile);
          }
        }
      }
      t.inputs.back().push_back(placement);
    }

    // The result.
    Placement placement;
    Value result = op.op->getResult(0);
    bool isRoot = o + 1 == group.ops.size();
    bool isContraction = int(o) == group.contraction;
    bool isEpilogue = group.epilogue && int(o) == group.contraction + 1;
    const View *view = isRoot ? &storages.view(result) : nullptr;
    auto makeTile = [&](npu::MemSpace space, ArrayRef<int> order) {
      Tile tile;
      tile.space = space;
      tile.elementType = cast<ShapedType>(result.getType()).getElementType();
      for (size_t r = 0; r < op.output.coefficients.size(); ++r) {
        int64_t size = 1;
        for (size_t d = 0; d < op.extents.size(); ++d)
          size += op.output.coefficients[r][d] * (t.extent(o, d) - 1);
        tile.sizes.push_back(size);
      }
      tile.level = t.depth[o];
      pack(tile, order);
      t.tiles.push_back(tile);
      return int(t.tiles.size()) - 1;
    };
    if (isContraction) {
      t.accumulator = makeTile(npu::MemSpace::Acc, orderLikeRoot(op, op.output, positions));
      placement.how = Placement::How::Tiled;
      placement.tile = t.accumulator;
      // The vector unit reads one slot while the array fills the other.
      if (!group.epilogue && !isRoot && t.executions(t.depth[o]) > 1)
        t.tiles.back().slots = 2;
    }
    // A contraction that is the root itself drains through the output stage unchanged.
    if (isRoot && view->storage->resident) {
      placement.how = Placement::How::Direct;
    } else if (!isContraction || isRoot) {
      placement.how = Placement::How::Tiled;
      placement.tile =
          makeTile(npu::MemSpace::Spm, isRoot ? memoryOrder(view->strides, view->shape)
                                              : orderLikeRoot(op, op.output, positions));
      bool crosses = isRoot || (isEpilogue && !isRoot); // another engine reads it
      if (crosses && t.executions(t.depth[o]) > 1)
        t.tiles.back().slots = 2;
    }
    t.outputs.push_back(placement);
  }
  for (const Tile &tile : t.tiles)
    (tile.space == npu::MemSpace::Spm ? t.spmBytes : t.accBytes) += tile.bytes * tile.slots;
  return t;
}

//===----------------------------------------------------------------------===//
// Command templates
//===----------------------------------------------------------------------===//

static Space runtimeSpace(npu::MemSpace space) { return Space(uint8_t(space)); }

/// Byte strides of an operand in an op's loop dims.
static Operand operandOf(const TiledGroup &t, int o, const LinearMap &map, Placement placement,
                         Value value, ElementType type, const StorageMap &storages) {
  Operand operand;
  operand.type = type;
  ArrayRef<int64_t> strides;
  int64_t bytes;
  if (placement.how == Placement::How::Tiled) {
    const Tile &tile = t.tiles[placement.tile];
    strides = tile.strides;
    bytes = npu::elementBytes(tile.elementType);
    operand.address.space = runtimeSpace(tile.space);
  } else {
    const View &view = storages.view(value);
    strides = view.strides;
    bytes = npu::elementBytes(view.storage->elementType);
    operand.address.space = Space::Spm;
  }
  operand.strides.assign(t.group->ops[o].extents.size(), 0);
  for (size_t r = 0; r < map.coefficients.size(); ++r)
    for (size_t d = 0; d < operand.strides.size(); ++d)
      operand.strides[d] += map.coefficients[r][d] * strides[r] * bytes;
  return operand;
}

static void fillDims(const TiledGroup &t, int o, SmallVectorImpl<LoopDim> &dims) {
  const GroupOp &op = t.group->ops[o];
  for (size_t d = 0; d < op.extents.size(); ++d) {
    LoopDim dim;
    dim.extent = t.extent(o, d);
    dim.reduction = op.reduction[d];
    if (op.contraction.valid)
      dim.role = op.contraction.roles[d];
    dims.push_back(dim);
  }
}

MatrixCommand schedule::matrixTemplate(const TiledGroup &t, const StorageMap &storages) {
  int o = t.group->contraction;
  const GroupOp &op = t.group->ops[o];
  const Contraction &c = op.contraction;
  MatrixCommand command;
  fillDims(t, o, command.dims);
  command.a = operandOf(t, o, op.inputs[c.a].map, t.inputs[o][c.a], op.inputs[c.a].value, c.aType,
                        storages);
  command.b = operandOf(t, o, op.inputs[c.b].map, t.inputs[o][c.b], op.inputs[c.b].value, c.bType,
                        storages);
  Value result = op.op->getResult(0);
  Placement acc{Placement::How::Tiled, t.accumulator};
  command.accumulator =
      operandOf(t, o, op.output, acc, result, op.body.operandTypes.back(), storages);
  if (&op == &t.group->root()) {
    command.hasEpilogue = true;
    BodyInst input;
    input.op = BodyOp::Input;
    input.isFloat = command.accumulator.type == ElementType::Float32;
    input.a = 0;
    command.epilogue.insts.push_back(input);
    command.epilogue.yields.push_back(0);
    command.out =
        operandOf(t, o, op.output, t.outputs[o], result, op.body.operandTypes.back(), storages);
  } else if (t.group->epilogue) {
    const GroupOp &next = t.group->ops[o + 1];
    command.hasEpilogue = true;
    command.epilogue = next.body.body;
    command.out = operandOf(t, o, op.output, t.outputs[o + 1], next.op->getResult(0),
                            next.body.operandTypes.back(), storages);
  }
  return command;
}

VectorCommand schedule::vectorTemplate(const TiledGroup &t, int o, const StorageMap &storages) {
  const GroupOp &op = t.group->ops[o];
  VectorCommand command;
  fillDims(t, o, command.dims);
  for (auto [i, input] : llvm::enumerate(op.inputs))
    if (!input.shapeOnly)
      command.inputs.push_back(operandOf(t, o, input.map, t.inputs[o][i], input.value,
                                         op.body.operandTypes[i], storages));
  command.outputs.push_back(operandOf(t, o, op.output, t.outputs[o], op.op->getResult(0),
                                      op.body.operandTypes.back(), storages));
  command.body = op.body.body;
  return command;
}

static DmaCommand copyTemplate(const View &view, const Tile &tile, bool store, ElementType type) {
  DmaCommand command;
  command.type = type;
  int64_t bytes = npu::elementBytes(tile.elementType);
  if (tile.packed) {
    DmaCommand::Dim dim;
    dim.extent = tile.bytes / bytes;
    dim.sourceStride = dim.targetStride = bytes;
    command.dims.push_back(dim);
  } else {
    for (int r : memoryOrder(view.strides, view.shape)) {
      DmaCommand::Dim dim;
      dim.extent = tile.sizes[r];
      dim.sourceStride = (store ? tile.strides : view.strides)[r] * bytes;
      dim.targetStride = (store ? view.strides : tile.strides)[r] * bytes;
      command.dims.push_back(dim);
    }
  }
  (store ? command.source : command.target).space = Space::Spm;
  return command;
}

DmaCommand schedule::loadTemplate(const Tile &tile, const StorageMap &storages) {
  return copyTemplate(storages.view(tile.value), tile, false, storageType(tile.elementType));
}

DmaCommand schedule::storeTemplate(const TiledGroup &t, const StorageMap &storages) {
  const GroupOp &root = t.group->root();
  const Tile &tile = t.tiles[t.outputs.back().tile];
  return copyTemplate(storages.view(root.op->getResult(0)), tile, true,
                      storageType(tile.elementType));
}

//===----------------------------------------------------------------------===//
// Estimate
//===----------------------------------------------------------------------===//

namespace {
enum { kMatrix, kVector, kLoad0, kLoad1, kStore, kDram };
}

void schedule::estimate(TiledGroup &t, const StorageMap &storages, const Machine &machine) {
  t.busy.fill(0);
  double lead = 0, tail = 0; // before the first command can start, after the last one
  // One iteration of the tile loops passes load, matrix, vector and store; a buffer between two
  // of them is taken from the start of the one to the end of the other.
  enum { kStageLoad, kStageMatrix, kStageVector, kStageStore, kStages };
  std::array<double, kStages> stage{};
  int innermost = t.sizes.order.size();
  double reductionStep = 0, reductionLoad = 0; // the same, for one trip of the reduction loops
  const Group &group = *t.group;
  for (size_t o = 0; o < group.ops.size(); ++o) {
    if (group.epilogue && int(o) == group.contraction + 1)
      continue;
    if (int(o) == group.contraction) {
      MatrixCommand command = matrixTemplate(t, storages);
      SmallVector<int64_t, 8> extents;
      for (const LoopDim &dim : command.dims)
        extents.push_back(dim.extent);
      int64_t outer = t.executions(t.depth[o]);
      int64_t inner =
          t.executions(t.levels()) / std::max<int64_t>(1, t.executions(t.sizes.order.size()));
      CommandCost last = matrixCost(command, extents, inner == 1, command.hasEpilogue, machine);
      double cycles = last.cycles;
      if (inner > 1)
        cycles += (inner - 1) * matrixCost(command, extents, false, false, machine).cycles;
      t.busy[kMatrix] += outer * cycles;
      stage[kStageMatrix] += cycles + last.latencyCycles - last.cycles;
      reductionStep = last.latencyCycles;
      tail += last.latencyCycles - last.cycles;
      continue;
    }
    VectorCommand command = vectorTemplate(t, o, storages);
    SmallVector<int64_t, 8> extents;
    for (const LoopDim &dim : command.dims)
      extents.push_back(dim.extent);
    CommandCost cost = vectorCost(command, extents, machine);
    bool splits = int(o) == group.splittable();
    t.busy[kVector] += double(t.executions(splits ? t.levels() : t.depth[o])) * cost.cycles;
    if (splits)
      reductionStep = cost.latencyCycles;
    if (t.depth[o] == innermost)
      stage[kStageVector] += cost.latencyCycles;
    // Behind the array, the last tile's vector work is exposed.
    tail += group.contraction >= 0 ? cost.latencyCycles : cost.latencyCycles - cost.cycles;
  }
  auto transfer = [&](const DmaCommand &command, int64_t executions, int engine) {
    SmallVector<int64_t, 6> extents;
    for (const DmaCommand::Dim &dim : command.dims)
      extents.push_back(dim.extent);
    DmaCost cost = dmaCost(command, extents, machine);
    double dram = dramCycles(cost.runs, cost.runBytes, machine);
    t.busy[engine] += double(executions) * std::max<double>(cost.command.cycles, 0);
    t.busy[kDram] += executions * dram;
    return std::max<double>(cost.command.latencyCycles, dram);
  };
  for (const Tile &tile : t.tiles) {
    if (!tile.value)
      continue;
    bool second = tile.constant && machine.dma.loadChannels > 1;
    double once =
        transfer(loadTemplate(tile, storages), t.executions(tile.level), second ? kLoad1 : kLoad0);
    if (!tile.constant)
      lead = std::max(lead, once);
    if (tile.level > innermost)
      reductionLoad = std::max(reductionLoad, once);
    if (tile.level >= innermost)
      stage[kStageLoad] =
          std::max(stage[kStageLoad], once * t.executions(tile.level) / t.executions(innermost));
  }
  if (t.outputs.back().how == Placement::How::Tiled) {
    stage[kStageStore] = transfer(storeTemplate(t, storages), t.executions(t.depth.back()), kStore);
    tail += stage[kStageStore];
  }
  double period = 0, previous = 0;
  for (double s : stage)
    if (s > 0) {
      period = std::max(period, (previous + s) / 2); // two slots
      previous = s;
    }
  int64_t iterations = t.executions(innermost);
  double steady = *std::max_element(t.busy.begin(), t.busy.end());
  if (iterations > 1)
    steady = std::max(steady, iterations * period);
  if (t.levels() > innermost)
    steady = std::max(steady, t.executions(t.levels()) * (reductionStep + reductionLoad) / 2);
  t.cycles = steady + lead + tail;
}

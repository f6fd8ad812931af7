//===- Group.cpp - Sets of ops that share one loop nest -----------------------===//

#include "compiler/schedule/Group.h"

#include "compiler/npu/NpuDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
namespace npu = npucc::npu;
namespace onnx = npucc::onnx;
using npucc::BodyInst;
using npucc::BodyOp;
using npucc::convertBody;
using npucc::ConvertedBody;
using npucc::ElementType;
using npucc::LoopRole;
using npucc::Machine;
using npucc::storageType;
namespace schedule = npucc::schedule;
using namespace npucc::schedule;

/// Adds `factor` times a linear expression to a row of coefficients.
static LogicalResult addLinear(AffineExpr expr, int64_t factor, MutableArrayRef<int64_t> row,
                               int64_t &constant) {
  if (auto c = dyn_cast<AffineConstantExpr>(expr)) {
    constant += factor * c.getValue();
    return success();
  }
  if (auto d = dyn_cast<AffineDimExpr>(expr)) {
    row[d.getPosition()] += factor;
    return success();
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return failure();
  if (expr.getKind() == AffineExprKind::Add)
    return success(succeeded(addLinear(binary.getLHS(), factor, row, constant)) &&
                   succeeded(addLinear(binary.getRHS(), factor, row, constant)));
  if (expr.getKind() == AffineExprKind::Mul)
    if (auto c = dyn_cast<AffineConstantExpr>(binary.getRHS()))
      return addLinear(binary.getLHS(), factor * c.getValue(), row, constant);
  return failure();
}

FailureOr<LinearMap> LinearMap::from(AffineMap map) {
  LinearMap result;
  for (AffineExpr expr : map.getResults()) {
    result.coefficients.emplace_back(map.getNumDims(), 0);
    result.constants.push_back(0);
    if (failed(addLinear(expr, 1, result.coefficients.back(), result.constants.back())))
      return failure();
  }
  return result;
}

/// The number of the block argument that `v` reads through widening and zero-point
/// subtraction; -1 when it is something else.
static int tracedArgument(Value v, Block &body, int64_t &zero, bool &isUnsigned) {
  while (true) {
    if (auto arg = dyn_cast<BlockArgument>(v))
      return arg.getOwner() == &body ? int(arg.getArgNumber()) : -1;
    Operation *op = v.getDefiningOp();
    if (isa<arith::ExtSIOp, arith::ExtFOp>(op)) {
      v = op->getOperand(0);
    } else if (isa<arith::ExtUIOp>(op)) {
      isUnsigned = true;
      v = op->getOperand(0);
    } else if (auto sub = dyn_cast<arith::SubIOp>(op)) {
      APInt value;
      if (!matchPattern(sub.getRhs(), m_ConstantInt(&value)))
        return -1;
      zero += value.getSExtValue();
      v = sub.getLhs();
    } else {
      return -1;
    }
  }
}

static void matchContraction(GroupOp &info) {
  Contraction &c = info.contraction;
  linalg::GenericOp op = info.op;
  Block &body = *op.getBody();
  if (info.inputs.size() != 2 || !info.reduces() || info.initial != 0)
    return;
  Operation *add = body.getTerminator()->getOperand(0).getDefiningOp();
  if (!add || !isa<arith::AddFOp, arith::AddIOp>(add))
    return;
  Value out = body.getArgument(2);
  Value product = add->getOperand(0) == out ? add->getOperand(1) : add->getOperand(0);
  if (add->getOperand(0) != out && add->getOperand(1) != out)
    return;
  Operation *mul = product.getDefiningOp();
  if (!mul || !isa<arith::MulFOp, arith::MulIOp>(mul))
    return;
  int64_t zeros[2] = {0, 0};
  bool isUnsigned[2] = {false, false};
  int first = tracedArgument(mul->getOperand(0), body, zeros[0], isUnsigned[0]);
  int second = tracedArgument(mul->getOperand(1), body, zeros[1], isUnsigned[1]);
  if (first == 1 && second == 0) {
    std::swap(zeros[0], zeros[1]);
    std::swap(isUnsigned[0], isUnsigned[1]);
  } else if (first != 0 || second != 1) {
    return;
  }
  // The stationary operand is the constant one; if neither is, the second.
  bool swapped = info.inputs[0].value.getDefiningOp<onnx::DataOp>() &&
                 !info.inputs[1].value.getDefiningOp<onnx::DataOp>();
  c.a = swapped ? 1 : 0;
  c.b = swapped ? 0 : 1;
  c.aZero = zeros[c.a];
  c.bZero = zeros[c.b];
  auto typeOf = [&](unsigned i) {
    return storageType(cast<ShapedType>(info.inputs[i].value.getType()).getElementType(),
                       isUnsigned[i]);
  };
  c.aType = typeOf(c.a);
  c.bType = typeOf(c.b);
  auto uses = [](const LinearMap &map, unsigned d) {
    return llvm::any_of(map.coefficients, [&](auto &row) { return row[d] != 0; });
  };
  bool hasOutChannel = false;
  for (unsigned d = 0; d < info.extents.size(); ++d) {
    const LinearMap &aMap = info.inputs[c.a].map, &bMap = info.inputs[c.b].map;
    bool inA = uses(aMap, d), inB = uses(bMap, d);
    LoopRole role;
    if (info.reduction[d]) {
      if (!inA || !inB)
        return;
      bool window = llvm::any_of(aMap.coefficients, [&](auto &row) {
        return row[d] != 0 && llvm::count_if(row, [](int64_t x) { return x != 0; }) > 1;
      });
      role = window ? LoopRole::Window : LoopRole::InChannel;
    } else if (inA && inB) {
      role = LoopRole::Batch;
    } else if (inA) {
      role = LoopRole::Stream;
    } else if (inB) {
      role = LoopRole::OutChannel;
      hasOutChannel = true;
    } else {
      return;
    }
    c.roles.push_back(role);
  }
  c.valid = hasOutChannel;
}

FailureOr<GroupOp> schedule::analyze(linalg::GenericOp op) {
  GroupOp info;
  info.op = op;
  if (op->getNumResults() != 1)
    return op.emitError("has several results");
  for (int64_t range : op.getStaticLoopRanges())
    info.extents.push_back(range);
  for (utils::IteratorType type : op.getIteratorTypesArray())
    info.reduction.push_back(type == utils::IteratorType::reduction);
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  SmallVector<bool> isTable(op.getNumDpsInputs(), false);
  op.getBody()->walk([&](npu::LookupOp lookup) { isTable[lookup.getTable()] = true; });
  for (OpOperand *use : op.getDpsInputOperands()) {
    OpInput input;
    input.value = use->get();
    FailureOr<LinearMap> map = LinearMap::from(maps[use->getOperandNumber()]);
    if (failed(map))
      return op.emitError("operand ") << use->getOperandNumber() << " is not accessed linearly";
    input.map = *map;
    input.shapeOnly = input.value.getDefiningOp<tensor::EmptyOp>() != nullptr;
    input.table = isTable[use->getOperandNumber()];
    info.inputs.push_back(input);
  }
  FailureOr<LinearMap> output = LinearMap::from(maps.back());
  if (failed(output))
    return op.emitError("result is not written linearly");
  info.output = *output;
  if (info.reduces()) {
    Value init = op.getDpsInits()[0];
    auto fill = init.getDefiningOp<linalg::FillOp>();
    Attribute value;
    if (!fill || !matchPattern(fill.getInputs()[0], m_Constant(&value)))
      return op.emitError("a reduction needs a constant initial value");
    if (auto f = dyn_cast<FloatAttr>(value))
      info.initial = f.getValueAsDouble();
    else
      info.initial = cast<IntegerAttr>(value).getValue().getSExtValue();
  }
  matchContraction(info);
  FailureOr<ConvertedBody> body = convertBody(*op.getBody(), info.inputs.size());
  if (failed(body))
    return failure();
  info.body = std::move(*body);
  return info;
}

/// Row r of a map is a single dim with coefficient 1 (or constant 0 over a unit dimension).
static bool projectedPermutation(const LinearMap &map, ArrayRef<int64_t> shape) {
  for (size_t r = 0; r < map.coefficients.size(); ++r) {
    int64_t nonzero = llvm::count_if(map.coefficients[r], [](int64_t x) { return x != 0; });
    int64_t sum = 0;
    for (int64_t x : map.coefficients[r])
      sum += x;
    if (map.constants[r] != 0)
      return false;
    if (nonzero == 0 ? shape[r] != 1 : (nonzero != 1 || sum != 1))
      return false;
  }
  return true;
}

static int soleDim(ArrayRef<int64_t> row) {
  for (size_t d = 0; d < row.size(); ++d)
    if (row[d] != 0)
      return d;
  return -1;
}

/// Maps the producer's loop dims to root dims through its consumers in the group.
static bool mapToRoot(GroupOp &producer, Value value, Group &group, SmallVectorImpl<bool> &whole) {
  producer.rootDim.assign(producer.extents.size(), -2); // not seen yet
  auto shape = cast<RankedTensorType>(value.getType()).getShape();
  if (!projectedPermutation(producer.output, shape))
    return false;
  for (GroupOp &consumer : group.ops)
    for (OpInput &input : consumer.inputs) {
      if (input.value != value)
        continue;
      if (input.table || !projectedPermutation(input.map, shape))
        return false;
      for (size_t r = 0; r < shape.size(); ++r) {
        int p = soleDim(producer.output.coefficients[r]), c = soleDim(input.map.coefficients[r]);
        if (p < 0)
          continue;
        int root = c < 0 ? -1 : consumer.rootDim[c];
        int &mapped = producer.rootDim[p];
        if (mapped == -2) {
          mapped = root;
        } else if (mapped != root) {
          // One consumer walks the dimension, another needs all of it.
          if (mapped >= 0 && root >= 0)
            return false;
          mapped = std::max(mapped, root);
          whole[mapped] = true;
        }
        // Reduced by this consumer while the root walks it through another path is handled
        // above; a private dimension of the consumer stays whole.
      }
    }
  for (size_t d = 0; d < producer.rootDim.size(); ++d)
    if (producer.rootDim[d] == -2)
      producer.rootDim[d] = -1;
  return true;
}

/// Can `op` run in the output stage behind a contraction: a chain on the accumulator of
/// additions and multiplications by constants or per-channel parameters, clamps, rounding?
static bool fitsOutputStage(const GroupOp &op, const GroupOp &contraction) {
  if (op.reduces() || op.inputs.size() > 4)
    return false;
  int accumulator = -1;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const OpInput &input = op.inputs[i];
    if (input.value == contraction.op->getResult(0)) {
      if (accumulator >= 0)
        return false;
      accumulator = i;
      // Each value leaves once: no loop repeats it, as an upsampling behind would.
      SmallVector<bool> indexed(op.extents.size());
      for (auto &row : input.map.coefficients)
        if (int d = soleDim(row); d >= 0)
          indexed[d] = true;
      for (size_t d = 0; d < op.extents.size(); ++d)
        if (op.extents[d] != 1 && !indexed[d])
          return false;
      continue;
    }
    if (input.table || input.producer >= 0)
      return false;
    // Per channel: one row at most, on an out-channel (or batch) dim of the contraction.
    int used = 0;
    for (auto &row : input.map.coefficients) {
      int d = soleDim(row);
      if (d < 0)
        continue;
      ++used;
      int root = op.rootDim[d];
      bool channel = false;
      for (size_t k = 0; k < contraction.rootDim.size(); ++k)
        channel |= contraction.rootDim[k] == root && root >= 0 &&
                   contraction.contraction.roles[k] == LoopRole::OutChannel;
      if (!channel)
        return false;
    }
    if (used > 1 || !input.value.getDefiningOp<onnx::DataOp>())
      return false;
  }
  if (accumulator < 0)
    return false;
  SmallVector<bool> depends;
  for (const BodyInst &inst : op.body.body.insts) {
    auto on = [&](int16_t v) { return v >= 0 && depends[v]; };
    switch (inst.op) {
    case BodyOp::Input:
      depends.push_back(inst.a == accumulator);
      break;
    case BodyOp::Constant:
      depends.push_back(false);
      break;
    case BodyOp::Add:
    case BodyOp::Sub:
    case BodyOp::Mul:
    case BodyOp::Max:
    case BodyOp::Min:
      if (on(inst.a) && on(inst.b))
        return false;
      depends.push_back(on(inst.a) || on(inst.b));
      break;
    case BodyOp::Fma:
      if (on(inst.a) + on(inst.b) + on(inst.c) > 1)
        return false;
      depends.push_back(on(inst.a) || on(inst.b) || on(inst.c));
      break;
    case BodyOp::Round:
    case BodyOp::RoundTo:
    case BodyOp::ToFloat:
    case BodyOp::ToInt:
    case BodyOp::Wrap:
      depends.push_back(on(inst.a));
      break;
    default:
      return false;
    }
  }
  return llvm::all_of(op.body.body.yields, [&](int16_t y) { return depends[y]; });
}

static bool wantsMatrix(const GroupOp &op, const Machine &machine) {
  if (!op.contraction.valid)
    return false;
  auto wide = [](ElementType t) { return t == ElementType::Uint8 ? ElementType::Int8 : t; };
  ElementType a = wide(op.contraction.aType), b = wide(op.contraction.bType);
  auto acc = cast<ShapedType>(op.op->getResult(0).getType()).getElementType();
  return (acc.isF32() || acc.isInteger(32)) && machine.supports(a) && machine.supports(b);
}

FailureOr<std::vector<Group>> schedule::formGroups(func::FuncOp function, StorageMap &storages,
                                                   const Machine &machine,
                                                   const DenseSet<Operation *> &alone) {
  SmallVector<Operation *> operations;
  for (Operation &op : function.getBody().front())
    operations.push_back(&op);
  DenseSet<Operation *> taken;
  std::vector<Group> groups;
  for (size_t position = operations.size(); position-- > 0;) {
    Operation *op = operations[position];
    if (taken.count(op) || storages.isView(op))
      continue;
    if (auto node = dyn_cast<onnx::NodeOp>(op)) {
      if (llvm::any_of(node->getResults(), [&](Value v) { return storages.has(v); })) {
        groups.emplace_back();
        groups.back().host = op;
      }
      continue;
    }
    auto rootOp = dyn_cast<linalg::GenericOp>(op);
    if (!rootOp)
      continue;
    FailureOr<GroupOp> root = analyze(rootOp);
    if (failed(root))
      return failure();
    if (llvm::is_contained(root->extents, 0)) {
      if (cast<ShapedType>(op->getResult(0).getType()).getNumElements() == 0)
        continue; // nothing to compute
      op->emitError("reduces a tensor without elements, which is not supported");
      return failure();
    }
    Group group;
    for (size_t d = 0; d < root->extents.size(); ++d)
      root->rootDim.push_back(root->reduction[d] ? -1 : int(d));
    group.whole.assign(root->extents.size(), false);
    bool contraction = wantsMatrix(*root, machine);
    bool reduces = root->reduces() && !contraction;
    group.ops.push_back(std::move(*root));
    taken.insert(op);
    DenseSet<Operation *> members{op};
    for (size_t p = position; p-- > 0 && !alone.count(op);) {
      auto producerOp = dyn_cast<linalg::GenericOp>(operations[p]);
      if (!producerOp || taken.count(producerOp) || storages.isView(producerOp) ||
          alone.count(producerOp) || producerOp->getNumResults() != 1)
        continue;
      Value value = producerOp->getResult(0);
      if (value.use_empty() || storages.placed(value) ||
          !llvm::all_of(value.getUsers(), [&](Operation *u) { return members.count(u); }))
        continue;
      FailureOr<GroupOp> producer = analyze(producerOp);
      if (failed(producer))
        return failure();
      if (llvm::is_contained(producer->extents, 0))
        continue;
      bool isContraction = wantsMatrix(*producer, machine);
      if (isContraction && (contraction || reduces))
        continue;
      // What drains another contraction stays with that one: it makes the accumulators small.
      auto drains = [&](GroupOp &candidate) {
        return llvm::any_of(candidate.inputs, [&](OpInput &input) {
          auto def = input.value.getDefiningOp<linalg::GenericOp>();
          if (!def || !input.value.hasOneUse())
            return false;
          FailureOr<GroupOp> before = analyze(def);
          return succeeded(before) && wantsMatrix(*before, machine);
        });
      };
      if (!isContraction && drains(*producer) && (contraction || llvm::any_of(group.ops, drains)))
        continue;
      SmallVector<bool, 8> whole(group.whole);
      if (!mapToRoot(*producer, value, group, whole))
        continue;
      // A contraction's own channels and pixels must be the root's.
      if (isContraction) {
        bool complete = true;
        for (size_t d = 0; d < producer->extents.size(); ++d)
          complete &=
              producer->reduction[d] || producer->extents[d] == 1 || producer->rootDim[d] >= 0;
        if (!complete)
          continue;
      }
      contraction |= isContraction;
      reduces |= producer->reduces() && !isContraction;
      group.whole = whole;
      group.ops.insert(group.ops.begin(), std::move(*producer));
      taken.insert(producerOp);
      members.insert(producerOp);
    }
    for (size_t i = 0; i < group.ops.size(); ++i) {
      for (OpInput &input : group.ops[i].inputs)
        for (size_t j = 0; j < i; ++j)
          if (group.ops[j].op->getResult(0) == input.value)
            input.producer = j;
      if (wantsMatrix(group.ops[i], machine))
        group.contraction = i;
    }
    int c = group.contraction;
    if (c >= 0 && c + 1 < int(group.ops.size())) {
      GroupOp &next = group.ops[c + 1];
      Value value = group.ops[c].op->getResult(0);
      for (OpInput &input : next.inputs)
        if (input.value == value)
          input.producer = -1; // looked at as the accumulator
      group.epilogue = value.hasOneUse() && fitsOutputStage(next, group.ops[c]);
      for (OpInput &input : next.inputs)
        if (input.value == value)
          input.producer = c;
    }
    groups.push_back(std::move(group));
  }
  std::reverse(groups.begin(), groups.end());
  return groups;
}

//===- EmitCommands.cpp - Commands of a program -----------------------------===//

#include "compiler/emit/ProgramEmitter.h"

#include "compiler/emit/Body.h"
#include "compiler/onnx/OnnxDialect.h"

#include "mlir/IR/Builders.h"

using namespace npucc;
using namespace npucc::emission;

/// Every node name in a location.
static void nodeNames(Location loc, SmallVectorImpl<StringRef> &names) {
  if (auto fused = dyn_cast<FusedLoc>(loc))
    for (Location part : fused.getLocations())
      nodeNames(part, names);
  else if (StringRef name = onnx::nodeName(loc); !name.empty())
    names.push_back(name);
}

/// The layer that pays for a command; the other nodes that it computes are folded into it.
int32_t ProgramEmitter::layer(Operation &op) {
  SmallVector<StringRef> names;
  nodeNames(op.getLoc(), names);
  op.walk([&](Operation *inner) { nodeNames(inner->getLoc(), names); });
  int32_t first = -1;
  for (StringRef name : names) {
    auto found = layers.find(name);
    if (found == layers.end())
      continue;
    if (first < 0)
      first = found->second;
    else if (found->second != first && program.layers[found->second].foldedInto < 0)
      program.layers[found->second].foldedInto = first;
  }
  return first;
}

void ProgramEmitter::run(Operation &op, CommandKind kind, uint32_t index, npu::StreamKind engine,
                         int64_t channel) {
  Command command;
  command.kind = kind;
  command.layer = layer(op);
  command.index = index;
  program.commands.push_back(command);
  stream(engine, channel)
      .push_back({Instruction::Kind::Run, int32_t(program.commands.size() - 1), false});
}

void ProgramEmitter::copy(Value whole, Value tile, AffineMap origin, ValueRange ivs, bool store) {
  auto wholeType = cast<MemRefType>(whole.getType()), tileType = cast<MemRefType>(tile.getType());
  SmallVector<int64_t> wholeStrides, tileStrides;
  int64_t offset;
  npu::staticStrides(wholeType, wholeStrides, offset);
  npu::staticStrides(tileType, tileStrides, offset);
  int64_t bytes = npu::elementBytes(wholeType.getElementType());
  DmaCommand dma;
  dma.type = storageType(wholeType.getElementType());
  SmallVector<AffineExpr> starts(origin.getResults());
  SmallVector<AffineExpr> zeros(starts.size(), getAffineConstantExpr(0, function.getContext()));
  Address wholeAddress = address(whole, starts, ivs), tileAddress = address(tile, zeros, ivs);
  dma.source = store ? tileAddress : wholeAddress;
  dma.target = store ? wholeAddress : tileAddress;
  SmallVector<unsigned> order;
  for (unsigned r = 0; r < starts.size(); ++r)
    order.push_back(r);
  llvm::stable_sort(order, [&](unsigned x, unsigned y) {
    int64_t sx = wholeType.getDimSize(x) == 1 ? INT64_MAX : wholeStrides[x];
    int64_t sy = wholeType.getDimSize(y) == 1 ? INT64_MAX : wholeStrides[y];
    return sx > sy;
  });
  for (unsigned r : order) {
    DmaCommand::Dim dim;
    dim.extent = tileType.getDimSize(r);
    dim.sourceStride = (store ? tileStrides[r] : wholeStrides[r]) * bytes;
    dim.targetStride = (store ? wholeStrides[r] : tileStrides[r]) * bytes;
    dim.start = affine(starts[r], ivs);
    dim.bound = wholeType.getDimSize(r);
    // Clip only where the box can leave the tensor.
    int64_t low = dim.start.constant, high = dim.start.constant;
    for (const Affine::Term &term : dim.start.terms)
      (term.coefficient < 0 ? low : high) +=
          term.coefficient * (program.loops[term.loop].trips - 1);
    dim.clipped = low < 0 || high + dim.extent > dim.bound;
    if (dim.extent > 1 || dim.clipped)
      dma.dims.push_back(dim);
  }
  program.dma.push_back(std::move(dma));
}

LogicalResult ProgramEmitter::matrix(npu::MatrixOp op) {
  MatrixCommand command;
  ValueRange ivs = op.getIvs();
  dims(op.getNest(), ivs, command.dims);
  auto access = [&](unsigned i) { return cast<npu::AccessAttr>(op.getAccesses()[i]); };
  auto declared = [&](StringRef name, Value memref) {
    if (auto attr = op->getAttrOfType<IntegerAttr>(name))
      return ElementType(attr.getInt());
    return storageType(cast<MemRefType>(memref.getType()).getElementType());
  };
  command.a = operand(op.getA(), access(0), ivs, declared("a_type", op.getA()));
  command.b = operand(op.getB(), access(1), ivs, declared("b_type", op.getB()));
  command.aZero = op.getAZero();
  command.bZero = op.getBZero();
  Type accType = cast<MemRefType>(op.getAcc().getType()).getElementType();
  command.accumulator = operand(op.getAcc(), access(2), ivs, storageType(accType));
  command.clearIf = condition(op.getClearIf(), ivs);
  if (op.getOut()) {
    unsigned params = op.getParams().size();
    FailureOr<ConvertedBody> body = convertBody(op.getEpilogue().front(), 1 + params);
    if (failed(body))
      return failure();
    command.hasEpilogue = true;
    command.epilogueIf = condition(op.getEpilogueIf(), ivs);
    command.epilogue = body->body;
    for (unsigned i = 0; i < params; ++i)
      command.epilogueInputs.push_back(
          operand(op.getParams()[i], access(3 + i), ivs, body->operandTypes[1 + i]));
    command.out = operand(op.getOut(), access(3 + params), ivs, body->operandTypes[1 + params]);
  }
  program.matrix.push_back(std::move(command));
  return success();
}

LogicalResult ProgramEmitter::vector(npu::VectorOp op) {
  VectorCommand command;
  ValueRange ivs = op.getIvs();
  dims(op.getNest(), ivs, command.dims);
  FailureOr<ConvertedBody> body = convertBody(op.getBody().front(), op.getInputs().size());
  if (failed(body))
    return failure();
  command.body = body->body;
  unsigned i = 0;
  for (Value v : op.getInputs()) {
    command.inputs.push_back(
        operand(v, cast<npu::AccessAttr>(op.getAccesses()[i]), ivs, body->operandTypes[i]));
    ++i;
  }
  for (Value v : op.getOutputs()) {
    command.outputs.push_back(
        operand(v, cast<npu::AccessAttr>(op.getAccesses()[i]), ivs, body->operandTypes[i]));
    ++i;
  }
  for (auto [value, output] : llvm::zip(op.getInitial(), command.outputs))
    command.initial.push_back(asStored(value, output.type));
  command.clearIf = condition(op.getClearIf(), ivs);
  program.vector.push_back(std::move(command));
  return success();
}

/// A tensor that a host operator sees as `type`. Storage hides the signedness of integers; floats
/// may be narrower. Types whose shape is only bounded have an encoding.
static ElementType noteHostType(ProgramTensor &tensor, mlir::Attribute attribute) {
  auto type = cast<RankedTensorType>(cast<TypeAttr>(attribute).getValue());
  ElementType element = fromMlirType(type.getElementType());
  if (!isFloat(element))
    tensor.type = element;
  tensor.isBound |= type.getEncoding() != nullptr;
  return element;
}

LogicalResult ProgramEmitter::host(npu::HostOp op) {
  HostCommand command;
  Node node;
  node.opType = op.getOpType().str();
  node.domain = op.getDomain().str();
  node.name = onnx::nodeName(op.getLoc()).str();
  // Attributes convert with the op that carries them.
  OpBuilder builder(op);
  SmallVector<Value> none;
  SmallVector<Type> types;
  for (Attribute t : op.getOutputTypes())
    types.push_back(cast<TypeAttr>(t).getValue());
  auto carrier = onnx::NodeOp::create(builder, op.getLoc(), TypeRange(types), op.getOpTypeAttr(),
                                      op.getDomainAttr(), none, op.getParametersAttr());
  llvm::Expected<Node> converted = nodeFromOp(carrier);
  carrier.erase();
  if (!converted)
    return op.emitError(llvm::toString(converted.takeError()));
  node.attributes = converted->attributes;
  for (auto [i, v] : llvm::enumerate(op.getInputs())) {
    bool absent = isa<NoneType>(v.getType());
    node.inputs.push_back(absent ? kNoValue : int32_t(i));
    command.inputs.push_back(absent ? -1 : tensors[npu::rootOf(v)]);
    command.inputTypes.push_back(
        absent ? ElementType::Undefined
               : noteHostType(program.tensors[command.inputs.back()], op.getInputTypes()[i]));
  }
  for (auto [i, v] : llvm::enumerate(op.getOutputs())) {
    if (isa<NoneType>(v.getType())) {
      node.outputs.push_back(kNoValue);
      command.outputs.push_back(-1);
      continue;
    }
    node.outputs.push_back(i);
    command.outputs.push_back(tensors[npu::rootOf(v)]);
    noteHostType(program.tensors[command.outputs.back()], op.getOutputTypes()[i]);
  }
  command.node = program.hostNodes.size();
  program.hostNodes.push_back(std::move(node));
  program.host.push_back(std::move(command));
  if (int32_t l = layer(*op); l >= 0)
    program.layers[l].host = true;
  return success();
}

LogicalResult ProgramEmitter::command(Operation &op) {
  if (auto load = dyn_cast<npu::LoadOp>(op)) {
    copy(load.getSource(), load.getTarget(), load.getOrigin(), load.getIvs(), false);
    if (Value whole = npu::rootOf(load.getSource()); whole.getDefiningOp<npu::ConstantOp>())
      readers[tensors[whole]].insert(layer(op));
    run(op, CommandKind::Dma, program.dma.size() - 1, npu::StreamKind::Load,
        load.getEngine().getChannel());
  } else if (auto store = dyn_cast<npu::StoreOp>(op)) {
    copy(store.getTarget(), store.getSource(), store.getOrigin(), store.getIvs(), true);
    run(op, CommandKind::Dma, program.dma.size() - 1, npu::StreamKind::Store,
        store.getEngine().getChannel());
  } else if (auto m = dyn_cast<npu::MatrixOp>(op)) {
    if (failed(matrix(m)))
      return failure();
    run(op, CommandKind::Matrix, program.matrix.size() - 1, npu::StreamKind::Matrix, 0);
  } else if (auto v = dyn_cast<npu::VectorOp>(op)) {
    if (failed(vector(v)))
      return failure();
    run(op, CommandKind::Vector, program.vector.size() - 1, npu::StreamKind::Vector, 0);
  } else if (auto h = dyn_cast<npu::HostOp>(op)) {
    if (failed(host(h)))
      return failure();
    run(op, CommandKind::Host, program.host.size() - 1, npu::StreamKind::Control, 0);
  } else if (auto wait = dyn_cast<npu::WaitOp>(op)) {
    stream(wait.getEngine().getKind(), wait.getEngine().getChannel())
        .push_back({Instruction::Kind::Wait, int32_t(wait.getSemaphore()), wait.getRedundant()});
  } else if (auto signal = dyn_cast<npu::SignalOp>(op)) {
    stream(signal.getEngine().getKind(), signal.getEngine().getChannel())
        .push_back({Instruction::Kind::Signal, int32_t(signal.getSemaphore()), false});
  } else if (auto advance = dyn_cast<npu::AdvanceOp>(op)) {
    stream(advance.getEngine().getKind(), advance.getEngine().getChannel())
        .push_back({Instruction::Kind::Advance, rings[advance.getBuffer()], false});
  }
  return success();
}

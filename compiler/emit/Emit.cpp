//===- Emit.cpp - From npu ops to a program -----------------------------------===//

#include "compiler/emit/Emit.h"

#include "compiler/emit/Body.h"
#include "compiler/import/Attributes.h"
#include "compiler/npu/NpuDialect.h"
#include "compiler/onnx/OnnxDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <map>
#include <set>

using namespace mlir;
namespace npu = npucc::npu;
namespace onnx = npucc::onnx;
using npucc::Address;
using npucc::Affine;
using npucc::bitWidth;
using npucc::Command;
using npucc::CommandKind;
using npucc::Condition;
using npucc::ConstantCache;
using npucc::convertBody;
using npucc::ConvertedBody;
using npucc::DmaCommand;
using npucc::ElementType;
using npucc::fromMlirType;
using npucc::Guard;
using npucc::HostCommand;
using npucc::Instruction;
using npucc::isFloat;
using npucc::isInteger;
using npucc::isSigned;
using npucc::kNoValue;
using npucc::Layer;
using npucc::LoopDim;
using npucc::LoopRole;
using npucc::Machine;
using npucc::MatrixCommand;
using npucc::Node;
using npucc::nodeFromOp;
using npucc::Operand;
using npucc::parseElementType;
using npucc::Program;
using npucc::ProgramTensor;
using npucc::Recipe;
using npucc::Space;
using npucc::storageType;
using npucc::Stream;
using npucc::Tensor;
using npucc::tensorFromAttr;
using npucc::VectorCommand;

namespace {

constexpr int64_t kDramAlign = 4096;

class ProgramEmitter {
public:
  ProgramEmitter(func::FuncOp function, const Machine &machine)
      : function(function), machine(machine) {}
  LogicalResult run();
  Program program;

private:
  // Memory.
  LogicalResult declare(Operation &op);
  int32_t addTensor(ProgramTensor tensor, MemRefType type);
  int32_t recipe(Value value, LogicalResult &status);
  Address address(Value memref, ArrayRef<AffineExpr> coordinates, ValueRange ivs);

  // Expressions. Symbols of a map are the loops of `ivs`.
  Affine affine(AffineExpr expr, ValueRange ivs);
  Condition condition(std::optional<AffineMap> map, ValueRange ivs);
  Operand operand(Value memref, npu::AccessAttr access, ValueRange ivs, ElementType type);
  void dims(npu::NestAttr nest, ValueRange ivs, SmallVectorImpl<LoopDim> &result);

  // Commands and streams.
  LogicalResult command(Operation &op);
  LogicalResult matrix(npu::MatrixOp op);
  LogicalResult vector(npu::VectorOp op);
  LogicalResult host(npu::HostOp op);
  void copy(Value whole, Value tile, AffineMap origin, ValueRange ivs, bool store);
  int32_t layer(Operation &op);
  void run(Operation &op, CommandKind kind, uint32_t index, npu::StreamKind engine,
           int64_t channel);
  std::vector<Instruction> &stream(npu::StreamKind kind, int64_t channel);
  LogicalResult block(Block &body);

  func::FuncOp function;
  const Machine &machine;
  DenseMap<Value, int32_t> tensors;  ///< DRAM memrefs
  DenseMap<Value, int32_t> rings;    ///< buffers with slots
  DenseMap<Value, int32_t> loops;    ///< induction variables
  DenseMap<Value, int32_t> recipes;
  llvm::StringMap<int32_t> layers;
  std::map<int32_t, std::set<int32_t>> readers; ///< constant tensors -> layers that load them
  ConstantCache cache;
};

std::vector<Instruction> &ProgramEmitter::stream(npu::StreamKind kind, int64_t channel) {
  for (Stream &s : program.streams)
    if (int(s.engine) == int(kind) && s.channel == channel)
      return s.code;
  program.streams.emplace_back();
  program.streams.back().engine = npucc::EngineKind(int(kind));
  program.streams.back().channel = channel;
  return program.streams.back().code;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

int32_t ProgramEmitter::addTensor(ProgramTensor tensor, MemRefType type) {
  SmallVector<int64_t> strides;
  int64_t offset;
  npu::staticStrides(type, strides, offset);
  tensor.shape.assign(type.getShape().begin(), type.getShape().end());
  int64_t bytes = npu::elementBytes(type.getElementType());
  for (int64_t s : strides)
    tensor.strides.push_back(s * bytes);
  tensor.bytes = npu::spanBytes(type);
  tensor.address = llvm::alignTo(program.dramBytes, tensor.bytes >= kDramAlign ? kDramAlign : 64);
  program.dramBytes = tensor.address + tensor.bytes;
  program.tensors.push_back(std::move(tensor));
  return program.tensors.size() - 1;
}

int32_t ProgramEmitter::recipe(Value value, LogicalResult &status) {
  auto found = recipes.find(value);
  if (found != recipes.end())
    return found->second;
  Operation *op = value.getDefiningOp();
  Recipe made;
  auto fail = [&](llvm::Error error) {
    op->emitError(llvm::toString(std::move(error)));
    status = failure();
    return -1;
  };
  if (auto data = dyn_cast_or_null<onnx::DataOp>(op)) {
    int32_t source = recipe(data.getSource(), status);
    ElementType from = fromMlirType(cast<ShapedType>(data.getSource().getType()).getElementType());
    ElementType to = fromMlirType(cast<ShapedType>(data.getType()).getElementType());
    if (from == to || bitWidth(from) == bitWidth(to))
      if (isFloat(from) == isFloat(to) && !(isFloat(from) && from != to))
        return recipes[value] = source; // the same bytes
    made.node.opType = "Cast";
    made.node.attributes["to"] = npucc::Attribute{int64_t(to)};
    made.node.inputs.push_back(source);
    made.node.outputs.push_back(0);
  } else if (auto constant = dyn_cast_or_null<onnx::ConstantOp>(op)) {
    llvm::Expected<Tensor> tensor = tensorFromAttr(constant.getValue());
    if (!tensor)
      return fail(tensor.takeError());
    made.data = std::move(*tensor);
  } else if (auto node = dyn_cast_or_null<onnx::NodeOp>(op)) {
    llvm::Expected<Node> runtimeNode = nodeFromOp(node);
    if (!runtimeNode)
      return fail(runtimeNode.takeError());
    made.node = std::move(*runtimeNode);
    made.output = cast<OpResult>(value).getResultNumber();
    for (auto [i, input] : llvm::enumerate(node.getInputs()))
      if (i < made.node.inputs.size() && made.node.inputs[i] != kNoValue)
        made.node.inputs[i] = isa<NoneType>(input.getType()) ? -1 : recipe(input, status);
  } else {
    mlir::emitError(value.getLoc(), "is not a constant expression");
    status = failure();
    return -1;
  }
  program.recipes.push_back(std::move(made));
  return recipes[value] = program.recipes.size() - 1;
}

static ElementType portType(MemRefType type, std::optional<StringRef> name) {
  if (name)
    if (auto parsed = parseElementType(std::string_view(name->data(), name->size())))
      return *parsed;
  return storageType(type.getElementType());
}

LogicalResult ProgramEmitter::declare(Operation &op) {
  if (auto input = dyn_cast<npu::InputOp>(op)) {
    auto type = cast<MemRefType>(input.getType());
    ProgramTensor tensor;
    tensor.kind = ProgramTensor::Kind::Input;
    tensor.name = input.getName().str();
    tensor.type = portType(type, input.getTypeName());
    if (input.getExternalType())
      tensor.externalType = portType(type, input.getExternalType());
    tensors[input.getResult()] = addTensor(tensor, type);
    return success();
  }
  if (auto output = dyn_cast<npu::OutputOp>(op)) {
    auto type = cast<MemRefType>(output.getBuffer().getType());
    ProgramTensor &tensor = program.tensors[tensors[output.getBuffer()]];
    tensor.kind = ProgramTensor::Kind::Output;
    tensor.name = output.getName().str();
    tensor.type = portType(type, output.getTypeName());
    if (output.getExternalType())
      tensor.externalType = portType(type, output.getExternalType());
    return success();
  }
  if (auto constant = dyn_cast<npu::ConstantOp>(op)) {
    LogicalResult status = success();
    ProgramTensor tensor;
    tensor.kind = ProgramTensor::Kind::Constant;
    tensor.name = onnx::nodeName(op.getLoc()).str();
    tensor.type = storageType(cast<MemRefType>(constant.getType()).getElementType());
    tensor.recipe = recipe(constant.getSource(), status);
    tensors[constant.getResult()] = addTensor(tensor, cast<MemRefType>(constant.getType()));
    return status;
  }
  if (auto buffer = dyn_cast<npu::BufferOp>(op)) {
    auto type = cast<MemRefType>(buffer.getType());
    if (npu::spaceOf(type) == npu::MemSpace::Dram) {
      ProgramTensor tensor;
      tensor.name = onnx::nodeName(op.getLoc()).str();
      tensor.type = storageType(type.getElementType());
      tensors[buffer.getResult()] = addTensor(tensor, type);
      return success();
    }
    if (!buffer.getAddress())
      return op.emitError("has no address");
    if (buffer.getSlots() > 1) {
      auto bytes = buffer->getAttrOfType<IntegerAttr>("slot_bytes");
      program.rings.push_back({int64_t(buffer.getSlots()), bytes ? bytes.getInt() : npu::spanBytes(type)});
      rings[buffer.getResult()] = program.rings.size() - 1;
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

/// Splits a linear expression into a constant, dim and symbol coefficients.
static void split(AffineExpr expr, int64_t factor, MutableArrayRef<int64_t> dims,
                  MutableArrayRef<int64_t> symbols, int64_t &constant) {
  if (auto c = dyn_cast<AffineConstantExpr>(expr))
    constant += factor * c.getValue();
  else if (auto d = dyn_cast<AffineDimExpr>(expr))
    dims[d.getPosition()] += factor;
  else if (auto s = dyn_cast<AffineSymbolExpr>(expr))
    symbols[s.getPosition()] += factor;
  else if (auto binary = dyn_cast<AffineBinaryOpExpr>(expr)) {
    if (expr.getKind() == AffineExprKind::Add) {
      split(binary.getLHS(), factor, dims, symbols, constant);
      split(binary.getRHS(), factor, dims, symbols, constant);
    } else if (auto c = dyn_cast<AffineConstantExpr>(binary.getRHS())) {
      split(binary.getLHS(), factor * c.getValue(), dims, symbols, constant);
    }
  }
}

Affine ProgramEmitter::affine(AffineExpr expr, ValueRange ivs) {
  Affine result;
  SmallVector<int64_t> symbols(ivs.size(), 0), dims(16, 0);
  split(expr, 1, dims, symbols, result.constant);
  for (auto [iv, coefficient] : llvm::zip(ivs, symbols))
    if (coefficient)
      result.terms.push_back({loops[iv], coefficient});
  return result;
}

Condition ProgramEmitter::condition(std::optional<AffineMap> map, ValueRange ivs) {
  Condition result;
  if (!map)
    return result;
  result.always = false;
  result.value = affine(map->getResult(0), ivs);
  return result;
}

/// Address of the element at the given coordinates of the memref (symbols: loops).
Address ProgramEmitter::address(Value memref, ArrayRef<AffineExpr> coordinates, ValueRange ivs) {
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  npu::staticStrides(type, strides, offset);
  int64_t bytes = npu::elementBytes(type.getElementType());
  Address result;
  result.space = Space(int(npu::spaceOf(type)));
  AffineExpr sum = getAffineConstantExpr(offset, function.getContext());
  for (auto [coordinate, stride] : llvm::zip(coordinates, strides))
    sum = sum + coordinate * stride;
  result.offset = affine(sum, ivs);
  result.offset.constant *= bytes;
  for (Affine::Term &term : result.offset.terms)
    term.coefficient *= bytes;
  Value root = npu::rootOf(memref);
  if (result.space == Space::Dram) {
    result.offset.constant += program.tensors[tensors[root]].address;
  } else {
    auto buffer = root.getDefiningOp<npu::BufferOp>();
    result.offset.constant += buffer.getAddress().value_or(0);
    auto ring = rings.find(root);
    if (ring != rings.end())
      result.ring = ring->second;
  }
  return result;
}

/// A signless constant of the IR as the number that `type` stores for these bits.
static double asStored(double value, ElementType type) {
  if (value < 0 && isInteger(type) && !isSigned(type))
    value += std::ldexp(1.0, bitWidth(type));
  return value;
}

Operand ProgramEmitter::operand(Value memref, npu::AccessAttr access, ValueRange ivs,
                                ElementType type) {
  Operand result;
  result.type = type;
  result.fill = asStored(access.getFill().getValueAsDouble(), type);
  auto memrefType = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> memoryStrides;
  int64_t offset;
  npu::staticStrides(memrefType, memoryStrides, offset);
  int64_t bytes = npu::elementBytes(memrefType.getElementType());
  AffineMap map = access.getMap(), origin = access.getOrigin();
  result.strides.assign(map.getNumDims(), 0);
  MLIRContext *context = function.getContext();
  SmallVector<AffineExpr> base;
  SmallVector<AffineExpr> noDims(map.getNumDims(), getAffineConstantExpr(0, context));
  for (unsigned r = 0; r < map.getNumResults(); ++r) {
    SmallVector<int64_t> dimCoefficients(map.getNumDims(), 0), symbols(ivs.size(), 0);
    int64_t constant = 0;
    split(map.getResult(r), 1, dimCoefficients, symbols, constant);
    for (size_t d = 0; d < dimCoefficients.size(); ++d)
      result.strides[d] += dimCoefficients[d] * memoryStrides[r] * bytes;
    AffineExpr start = map.getResult(r).replaceDims(noDims);
    base.push_back(start - origin.getResult(r));
    if (access.getBounds()[r] >= 0) {
      Guard guard;
      guard.start = affine(start, ivs);
      guard.coefficients.assign(dimCoefficients.begin(), dimCoefficients.end());
      guard.bound = access.getBounds()[r];
      result.guards.push_back(guard);
    }
  }
  result.address = address(memref, base, ivs);
  return result;
}

void ProgramEmitter::dims(npu::NestAttr nest, ValueRange ivs, SmallVectorImpl<LoopDim> &result) {
  for (size_t d = 0; d < nest.getExtents().size(); ++d) {
    LoopDim dim;
    dim.extent = nest.getExtents()[d];
    dim.reduction = nest.getReduction()[d];
    dim.role = LoopRole(nest.getRoles()[d]);
    dim.start = affine(nest.getStarts().getResult(d), ivs);
    dim.clipped = nest.getBounds()[d] >= 0;
    dim.bound = dim.clipped ? nest.getBounds()[d] : 0;
    result.push_back(dim);
  }
}

//===----------------------------------------------------------------------===//
// Commands
//===----------------------------------------------------------------------===//

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
      (term.coefficient < 0 ? low : high) += term.coefficient * (program.loops[term.loop].trips - 1);
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
    if (!absent) {
      auto type = cast<ShapedType>(cast<TypeAttr>(op.getInputTypes()[i]).getValue());
      ProgramTensor &tensor = program.tensors[command.inputs.back()];
      if (tensor.kind != ProgramTensor::Kind::Constant)
        tensor.type = fromMlirType(type.getElementType());
    }
  }
  for (auto [i, v] : llvm::enumerate(op.getOutputs())) {
    node.outputs.push_back(i);
    command.outputs.push_back(tensors[npu::rootOf(v)]);
    auto type = cast<ShapedType>(cast<TypeAttr>(op.getOutputTypes()[i]).getValue());
    program.tensors[command.outputs.back()].type = fromMlirType(type.getElementType());
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

LogicalResult ProgramEmitter::block(Block &body) {
  for (Operation &op : body) {
    auto loop = dyn_cast<scf::ForOp>(op);
    if (!loop) {
      if (failed(command(op)))
        return failure();
      continue;
    }
    int32_t id = program.loops.size();
    std::optional<APInt> trips = loop.getStaticTripCount();
    if (!trips)
      return loop.emitError("has no static trip count");
    program.loops.push_back({trips->getSExtValue()});
    loops[loop.getInductionVar()] = id;
    // Every stream gets the loop; those without work in it drop it again.
    std::vector<size_t> begins;
    for (Stream &s : program.streams) {
      begins.push_back(s.code.size());
      s.code.push_back({Instruction::Kind::LoopBegin, id, false});
    }
    size_t known = program.streams.size();
    if (failed(block(*loop.getBody())))
      return failure();
    for (size_t i = 0; i < program.streams.size(); ++i) {
      Stream &s = program.streams[i];
      if (i >= known)
        return loop.emitError("uses an engine that was not declared");
      if (s.code.size() == begins[i] + 1)
        s.code.pop_back();
      else
        s.code.push_back({Instruction::Kind::LoopEnd, id, false});
    }
  }
  return success();
}

LogicalResult ProgramEmitter::run() {
  auto module = function->getParentOfType<ModuleOp>();
  if (auto list = module->getAttrOfType<ArrayAttr>(onnx::kLayersAttr))
    for (Attribute entry : list) {
      auto dict = cast<DictionaryAttr>(entry);
      Layer layer;
      layer.node = dict.getAs<StringAttr>("node").str();
      layer.op = dict.getAs<StringAttr>("op").str();
      if (auto macs = dict.getAs<IntegerAttr>("macs"))
        layer.macs = macs.getInt();
      layers[layer.node] = program.layers.size();
      program.layers.push_back(layer);
    }
  program.machineName = machine.name;
  program.machineYaml = machine.text;
  for (int64_t c = 0; c < machine.dma.loadChannels; ++c)
    stream(npu::StreamKind::Load, c);
  for (int64_t c = 0; c < machine.dma.storeChannels; ++c)
    stream(npu::StreamKind::Store, c);
  for (auto kind : {npu::StreamKind::Matrix, npu::StreamKind::Vector, npu::StreamKind::Control})
    stream(kind, 0);
  if (auto counts = function->getAttrOfType<DenseI64ArrayAttr>("npu.semaphores"))
    for (int64_t count : counts.asArrayRef())
      program.semaphores.push_back({count});
  for (Operation &op : function.getBody().front())
    if (failed(declare(op)))
      return failure();
  if (failed(block(function.getBody().front())))
    return failure();
  for (const Command &command : program.commands)
    if (command.layer >= 0)
      program.layers[command.layer].foldedInto = -1;
  for (const auto &[tensor, by] : readers)
    if (by.size() == 1 && *by.begin() >= 0)
      program.layers[*by.begin()].weightBytes += program.tensors[tensor].bytes;
  auto number = [&](StringRef name) -> int64_t {
    auto attr = function->getAttrOfType<IntegerAttr>(name);
    return attr ? attr.getInt() : 0;
  };
  program.spmBytes = number("npu.spm_bytes");
  program.accBytes = number("npu.acc_bytes");
  if (auto cycles = function->getAttrOfType<FloatAttr>("npu.estimated_cycles"))
    program.estimatedCycles = cycles.getValueAsDouble();
  return success();
}

} // namespace

FailureOr<Program> npucc::emitProgram(ModuleOp module, const Machine &machine) {
  auto function = module.lookupSymbol<func::FuncOp>("main");
  if (!function)
    return module.emitError("has no function 'main'"), failure();
  ProgramEmitter emitter(function, machine);
  if (failed(emitter.run()))
    return failure();
  return std::move(emitter.program);
}

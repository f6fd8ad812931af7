//===- Storage.cpp - Where whole tensors live ---------------------------------===//

#include "compiler/schedule/Storage.h"

#include "compiler/import/Attributes.h"
#include "compiler/npu/NpuDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
namespace npu = npucc::npu;
namespace onnx = npucc::onnx;
namespace schedule = npucc::schedule;
using namespace npucc::schedule;

bool schedule::isPermute(linalg::GenericOp op) {
  if (op.getNumDpsInputs() != 1 || op->getNumResults() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops())
    return false;
  auto yield = cast<linalg::YieldOp>(op.getBody()->getTerminator());
  if (yield.getOperand(0) != op.getBody()->getArgument(0))
    return false;
  return llvm::all_of(op.getIndexingMapsArray(), [](AffineMap m) { return m.isPermutation(); });
}

bool schedule::reshapeView(const View &view, ArrayRef<int64_t> shape, View &result) {
  if (view.padded())
    return false;
  result = view;
  result.shape.assign(shape.begin(), shape.end());
  result.strides.assign(shape.size(), 0);
  result.low.assign(shape.size(), 0);
  result.bound.assign(shape.size(), -1);
  // Match runs of source and target dims of equal product; within a run the source dims must
  // be one stretch of memory, which the target dims then divide. Unit dims take any stride.
  size_t s = 0, t = 0;
  while (s < view.shape.size() || t < shape.size()) {
    int64_t sourceProduct = 1, targetProduct = 1;
    size_t sBegin = s, tBegin = t;
    if (s < view.shape.size())
      sourceProduct = view.shape[s++];
    if (t < shape.size())
      targetProduct = shape[t++];
    while (sourceProduct != targetProduct) {
      if (sourceProduct < targetProduct) {
        if (s == view.shape.size())
          return false;
        sourceProduct *= view.shape[s++];
      } else {
        if (t == shape.size())
          return false;
        targetProduct *= shape[t++];
      }
    }
    int64_t inner = 0, reach = 0; // stride of the innermost dim, extent so far in memory
    for (size_t i = s; i-- > sBegin;) {
      if (view.shape[i] == 1)
        continue;
      if (reach == 0)
        inner = view.strides[i];
      else if (view.strides[i] != reach)
        return false;
      reach = view.strides[i] * view.shape[i];
    }
    int64_t stride = inner ? inner : 1;
    for (size_t i = t; i-- > tBegin;) {
      result.strides[i] = stride;
      stride *= shape[i];
    }
  }
  return true;
}

Storage *StorageMap::create(Storage::Kind kind, RankedTensorType type, ArrayRef<int64_t> order) {
  storages.emplace_back();
  Storage &storage = storages.back();
  storage.kind = kind;
  storage.id = storages.size() - 1;
  storage.elementType = type.getElementType();
  storage.shape.assign(type.getShape().begin(), type.getShape().end());
  storage.strides.assign(type.getRank(), 1);
  int64_t stride = 1;
  for (int64_t r = type.getRank(); r-- > 0;) {
    int64_t dim = order.empty() ? r : order[r];
    storage.strides[dim] = stride;
    stride *= type.getDimSize(dim);
  }
  storage.bytes = stride * npu::elementBytes(storage.elementType);
  return &storage;
}

View StorageMap::whole(Storage *storage) {
  View view;
  view.storage = storage;
  view.shape = storage->shape;
  view.strides = storage->strides;
  view.low.assign(view.shape.size(), 0);
  view.bound.assign(view.shape.size(), -1);
  return view;
}

/// Does a function hold windowed ops, so that 4-D tensors are images?
static bool hasWindows(Operation *function) {
  return function
      ->walk([](linalg::GenericOp op) {
        for (AffineMap map : op.getIndexingMapsArray())
          if (!map.isProjectedPermutation(/*allowZeroInResults=*/true))
            return WalkResult::interrupt();
        return WalkResult::advance();
      })
      .wasInterrupted();
}

SmallVector<int64_t> StorageMap::preferredOrder(Value value) {
  int64_t rank = cast<RankedTensorType>(value.getType()).getRank();
  SmallVector<int64_t> order;
  if (rank < 4 || !hasWindows(value.getParentRegion()->getParentOp()))
    return order;
  // Channels last: the matrix engine's columns are channels, and a pixel's channels are
  // then one stretch of memory.
  order.push_back(0);
  for (int64_t r = 2; r < rank; ++r)
    order.push_back(r);
  order.push_back(1);
  // Unless a reshape that follows needs C order.
  auto type = cast<RankedTensorType>(value.getType());
  View probe;
  probe.shape.assign(type.getShape().begin(), type.getShape().end());
  probe.strides.assign(rank, 1);
  int64_t stride = 1;
  for (int64_t r = rank; r-- > 0;) {
    probe.strides[order[r]] = stride;
    stride *= type.getDimSize(order[r]);
  }
  probe.low.assign(rank, 0);
  probe.bound.assign(rank, -1);
  for (Operation *user : value.getUsers()) {
    View ignored;
    if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(user) &&
        !reshapeView(probe, cast<RankedTensorType>(user->getResult(0).getType()).getShape(),
                     ignored))
      return {};
  }
  return order;
}

Value StorageMap::copyOf(OpBuilder &builder, Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  Location loc = value.getLoc();
  Value empty =
      tensor::EmptyOp::create(builder, loc, type.getShape(), type.getElementType()).getResult();
  SmallVector<AffineMap> maps(2, builder.getMultiDimIdentityMap(type.getRank()));
  SmallVector<utils::IteratorType> iterators(type.getRank(), utils::IteratorType::parallel);
  auto copy = linalg::GenericOp::create(
      builder, loc, TypeRange{type}, ValueRange{value}, ValueRange{empty}, maps, iterators,
      [](OpBuilder &b, Location l, ValueRange args) { linalg::YieldOp::create(b, l, args[0]); });
  return copy.getResult(0);
}

bool StorageMap::place(Value value, const View &destination) {
  Operation *op = value.getDefiningOp();
  if (!op || destinations.count(value))
    return false;
  if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
    if (generic->getNumResults() != 1)
      return false;
  } else if (!isa<tensor::InsertSliceOp, tensor::CollapseShapeOp, tensor::ExpandShapeOp>(op)) {
    return false;
  }
  destinations[value] = destination;
  return true;
}

static bool isStatic(tensor::InsertSliceOp op) {
  return !ShapedType::isDynamicShape(op.getStaticOffsets()) &&
         !ShapedType::isDynamicShape(op.getStaticSizes()) &&
         !ShapedType::isDynamicShape(op.getStaticStrides());
}

/// A slice of a view.
static View sliceView(const View &view, ArrayRef<int64_t> offsets, ArrayRef<int64_t> sizes,
                      ArrayRef<int64_t> strides) {
  View result = view;
  for (size_t r = 0; r < view.shape.size(); ++r) {
    result.offset += offsets[r] * view.strides[r];
    result.strides[r] = view.strides[r] * strides[r];
    result.shape[r] = sizes[r];
  }
  return result;
}

/// What a chain of insertions, read by nobody else on the way, starts from.
static Value chainBase(Value value) {
  while (auto insert = value.getDefiningOp<tensor::InsertSliceOp>()) {
    if (!value.hasOneUse())
      break;
    value = insert.getDest();
  }
  return value;
}

/// The op whose command will write a value that is placed elsewhere.
static Operation *writerOf(Value value) {
  while (isa_and_present<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  return value.getDefiningOp();
}

LogicalResult StorageMap::placeOperations(func::FuncOp function) {
  OpBuilder builder(function.getContext());
  // Where `value` cannot be written to `destination` by its producer, a copy can.
  auto placeOrCopy = [&](OpOperand &use, const View &destination) {
    if (place(use.get(), destination))
      return;
    builder.setInsertionPoint(use.getOwner());
    Value copy = copyOf(builder, use.get());
    use.set(copy);
    destinations[copy] = destination;
  };
  SmallVector<Operation *> operations;
  for (Operation &op : function.getBody().front())
    operations.push_back(&op);
  for (Operation *op : llvm::reverse(operations)) {
    if (auto ret = dyn_cast<func::ReturnOp>(op)) {
      for (OpOperand &use : ret->getOpOperands()) {
        auto type = cast<RankedTensorType>(use.get().getType());
        Storage *storage = create(Storage::Kind::Output, type, {});
        storage->port = use.getOperandNumber();
        // The control core writes whole tensors: the output itself.
        if (auto host = use.get().getDefiningOp<onnx::NodeOp>();
            host && !isConstantExpression(use.get()) && !destinations.count(use.get()))
          destinations[use.get()] = whole(storage);
        else
          placeOrCopy(use, whole(storage));
      }
      continue;
    }
    if (auto insert = dyn_cast<tensor::InsertSliceOp>(op)) {
      if (!isStatic(insert))
        return insert.emitError("dynamic slices are not supported");
      Value result = insert.getResult();
      if (!destinations.count(result))
        destinations[result] =
            whole(create(Storage::Kind::Intermediate, insert.getType(), preferredOrder(result)));
      View destination = destinations[result];
      View part = sliceView(destination, insert.getStaticOffsets(), insert.getStaticSizes(),
                            insert.getStaticStrides());
      View shaped = part;
      if (insert.getSourceType().getRank() != int64_t(part.shape.size()) &&
          !reshapeView(part, insert.getSourceType().getShape(), shaped))
        return insert.emitError("rank-reducing insert_slice of a strided part");
      // What the slice is inserted into is written first: at its own place in the program, or by
      // a copy right behind it. Others that read it keep the original.
      Value base = chainBase(insert.getDest());
      Value dest = insert.getDest();
      bool empty = base.getDefiningOp<tensor::EmptyOp>() != nullptr;
      if (!dest.getDefiningOp<tensor::EmptyOp>() &&
          !(dest.hasOneUse() && place(dest, destination))) {
        if (Operation *def = dest.getDefiningOp())
          builder.setInsertionPointAfter(def);
        else
          builder.setInsertionPointToStart(&function.getBody().front());
        Value copy = copyOf(builder, dest);
        insert.getDestMutable().set(copy);
        destinations[copy] = destination;
        base = dest;
      }
      // A slice that is ready before what it goes into must wait, as a copy.
      Operation *writer = writerOf(insert.getSource());
      Operation *first = base.getDefiningOp();
      if (!empty && first && writer && !first->isBeforeInBlock(writer)) {
        builder.setInsertionPoint(insert);
        Value copy = copyOf(builder, insert.getSource());
        insert.getSourceMutable().set(copy);
        destinations[copy] = shaped;
      } else {
        placeOrCopy(insert.getSourceMutable(), shaped);
      }
      continue;
    }
    if (op->getNumResults() != 1 || !destinations.count(op->getResult(0)))
      continue;
    Value result = op->getResult(0);
    View destination = destinations[result];
    if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(op)) {
      View source;
      auto type = cast<RankedTensorType>(op->getOperand(0).getType());
      if (reshapeView(destination, type.getShape(), source)) {
        placeOrCopy(op->getOpOperand(0), source);
        continue;
      }
      // The reshape reads in place; a copy behind it writes the destination.
      destinations.erase(result);
      builder.setInsertionPointAfter(op);
      Value copy = copyOf(builder, result);
      result.replaceAllUsesExcept(copy, copy.getDefiningOp());
      destinations[copy] = destination;
      continue;
    }
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (generic && isPermute(generic)) {
      Value input = generic.getDpsInputs()[0];
      AffineMap in = generic.getIndexingMapsArray()[0], out = generic.getIndexingMapsArray()[1];
      View source = destination;
      for (unsigned r = 0; r < in.getNumResults(); ++r) {
        // Input dim r is loop d, which is output dim o.
        unsigned o = *out.getResultPosition(in.getResult(r));
        source.shape[r] = destination.shape[o];
        source.strides[r] = destination.strides[o];
      }
      if (input.hasOneUse() && place(input, source))
        permutes.insert(op);
    }
  }
  return success();
}

static double padValue(tensor::PadOp pad) {
  Value constant = pad.getConstantPaddingValue();
  Attribute attribute;
  if (!constant || !matchPattern(constant, m_Constant(&attribute)))
    return 0;
  if (auto f = dyn_cast<FloatAttr>(attribute))
    return f.getValueAsDouble();
  return cast<IntegerAttr>(attribute).getValue().getSExtValue();
}

LogicalResult StorageMap::viewOperations(func::FuncOp function) {
  OpBuilder builder(function.getContext());
  Block &body = function.getBody().front();
  for (BlockArgument arg : body.getArguments()) {
    Storage *storage = create(Storage::Kind::Input, cast<RankedTensorType>(arg.getType()), {});
    storage->port = arg.getArgNumber();
    views[arg] = whole(storage);
  }
  for (Operation &op : llvm::make_early_inc_range(body)) {
    auto copyOperand = [&](OpOperand &use) -> const View & {
      builder.setInsertionPoint(&op);
      Value copy = copyOf(builder, use.get());
      views[copy] =
          whole(create(Storage::Kind::Intermediate, cast<RankedTensorType>(copy.getType()), {}));
      use.set(copy);
      return views[copy];
    };
    if (isa<func::ReturnOp, tensor::EmptyOp, linalg::FillOp>(op) || op.getNumResults() == 0)
      continue;
    if (auto data = dyn_cast<onnx::DataOp>(op)) {
      Storage *storage =
          create(Storage::Kind::Constant, cast<RankedTensorType>(data.getType()), {});
      storage->constant = data.getResult();
      views[data.getResult()] = whole(storage);
      continue;
    }
    if (auto node = dyn_cast<onnx::NodeOp>(op)) {
      bool constant = llvm::all_of(node.getInputs(), [&](Value v) { return !views.count(v); });
      if (constant)
        continue;
      for (OpOperand &use : op.getOpOperands()) {
        auto found = views.find(use.get());
        if (found == views.end())
          continue; // a constant expression, or absent
        const View &view = found->second;
        View plain = whole(view.storage);
        // The control core knows a tensor by its storage: of that shape, and in C order.
        bool same = !view.padded() && view.offset == 0 && view.shape == plain.shape &&
                    view.strides == plain.strides && view.storage->kind != Storage::Kind::Constant;
        int64_t stride = 1;
        for (int64_t r = view.shape.size(); same && r-- > 0;) {
          same = view.shape[r] == 1 || view.strides[r] == stride;
          stride *= view.shape[r];
        }
        if (!same)
          copyOperand(use);
      }
      for (Value result : op.getResults())
        if (auto type = dyn_cast<RankedTensorType>(result.getType())) {
          auto placed = destinations.find(result);
          views[result] = placed != destinations.end()
                              ? placed->second
                              : whole(create(Storage::Kind::Intermediate, type, {}));
        }
      continue;
    }
    if (isa<onnx::ConstantOp, onnx::NoneOp>(op) ||
        !isa<RankedTensorType>(op.getResult(0).getType()))
      continue;
    Value result = op.getResult(0);
    auto type = cast<RankedTensorType>(result.getType());
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
      const View *source = &views[slice.getSource()];
      if (source->padded())
        source = &copyOperand(slice.getSourceMutable());
      View part = sliceView(*source, slice.getStaticOffsets(), slice.getStaticSizes(),
                            slice.getStaticStrides());
      View shaped = part;
      if (type.getRank() != int64_t(part.shape.size()) &&
          !reshapeView(part, type.getShape(), shaped))
        return slice.emitError("rank-reducing slice that no view can express");
      views[result] = shaped;
      continue;
    }
    if (auto pad = dyn_cast<tensor::PadOp>(op)) {
      const View *source = &views[pad.getSource()];
      if (source->padded())
        source = &copyOperand(pad.getSourceMutable());
      View padded = *source;
      padded.fill = padValue(pad);
      for (int64_t r = 0; r < type.getRank(); ++r) {
        int64_t low = pad.getStaticLow()[r];
        if (low == 0 && pad.getStaticHigh()[r] == 0)
          continue;
        padded.low[r] = low;
        padded.bound[r] = source->shape[r];
        padded.shape[r] = type.getDimSize(r);
      }
      views[result] = padded;
      continue;
    }
    if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(op)) {
      View shaped;
      if (!reshapeView(views[op.getOperand(0)], type.getShape(), shaped) &&
          !reshapeView(copyOperand(op.getOpOperand(0)), type.getShape(), shaped))
        return op.emitError("reshape that no view can express");
      views[result] = shaped;
      continue;
    }
    if (isa<tensor::InsertSliceOp>(op)) {
      views[result] = destinations[result];
      continue;
    }
    if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
      for (OpOperand *use : generic.getDpsInputOperands())
        if (!views.count(use->get()) && isa<RankedTensorType>(use->get().getType()) &&
            !use->get().getDefiningOp<tensor::EmptyOp>())
          return op.emitError("operand ") << use->getOperandNumber() << " has no storage";
      Value input = generic.getNumDpsInputs() ? generic.getDpsInputs()[0] : Value();
      if (permutes.count(&op)) {
        views[result] = destinations[result];
        continue;
      }
      if (isPermute(generic) && !destinations.count(result) && !views[input].padded()) {
        AffineMap in = generic.getIndexingMapsArray()[0], out = generic.getIndexingMapsArray()[1];
        View permuted = views[input];
        for (unsigned r = 0; r < in.getNumResults(); ++r) {
          unsigned o = *out.getResultPosition(in.getResult(r));
          permuted.shape[o] = views[input].shape[r];
          permuted.strides[o] = views[input].strides[r];
        }
        views[result] = permuted;
        permutes.insert(&op);
        continue;
      }
      for (Value value : op.getResults()) {
        auto placed = destinations.find(value);
        views[value] =
            placed != destinations.end()
                ? placed->second
                : whole(create(Storage::Kind::Intermediate, cast<RankedTensorType>(value.getType()),
                               preferredOrder(value)));
      }
      continue;
    }
    return op.emitError("is not expected between linalg and the schedule");
  }
  return success();
}

/// Fills that are data, not initial values of a reduction, become commands.
static void materializeFills(func::FuncOp function) {
  OpBuilder builder(function.getContext());
  SmallVector<linalg::FillOp> fills;
  function.walk([&](linalg::FillOp fill) { fills.push_back(fill); });
  for (linalg::FillOp fill : fills) {
    Value result = fill.getResult(0);
    bool isData = llvm::any_of(result.getUses(), [](OpOperand &use) {
      auto generic = dyn_cast<linalg::GenericOp>(use.getOwner());
      return !generic || !generic.isDpsInit(&use);
    });
    if (!isData)
      continue;
    auto type = cast<RankedTensorType>(result.getType());
    builder.setInsertionPointAfter(fill);
    Value empty =
        tensor::EmptyOp::create(builder, fill.getLoc(), type.getShape(), type.getElementType());
    Value scalar = fill.getInputs()[0];
    auto generic = linalg::GenericOp::create(
        builder, fill.getLoc(), TypeRange{type}, ValueRange{}, ValueRange{empty},
        ArrayRef<AffineMap>{builder.getMultiDimIdentityMap(type.getRank())},
        SmallVector<utils::IteratorType>(type.getRank(), utils::IteratorType::parallel),
        [&](OpBuilder &b, Location l, ValueRange) { linalg::YieldOp::create(b, l, scalar); });
    result.replaceUsesWithIf(generic.getResult(0), [](OpOperand &use) {
      auto user = dyn_cast<linalg::GenericOp>(use.getOwner());
      return !user || !user.isDpsInit(&use);
    });
  }
}

LogicalResult StorageMap::build(func::FuncOp function) {
  materializeFills(function);
  if (failed(placeOperations(function)) || failed(viewOperations(function)))
    return failure();
  return success();
}

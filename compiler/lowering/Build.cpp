//===- Build.cpp - Structured ops that lowerings are made of ------------------===//

#include "compiler/lowering/Build.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace npucc::lowering {

int64_t product(ArrayRef<int64_t> shape) {
  int64_t result = 1;
  for (int64_t size : shape)
    result *= size;
  return result;
}

Ints iota(int64_t count, int64_t first) {
  Ints result(count);
  for (int64_t i = 0; i < count; ++i)
    result[i] = first + i;
  return result;
}

AffineMap dimsMap(LoweringContext &c, int64_t loops, ArrayRef<int64_t> dims) {
  SmallVector<AffineExpr, 8> exprs;
  for (int64_t d : dims)
    exprs.push_back(c.b.getAffineDimExpr(d));
  return AffineMap::get(loops, 0, exprs, c.b.getContext());
}

ArrayRef<int64_t> shapeOf(Value storage) {
  return cast<RankedTensorType>(storage.getType()).getShape();
}
Type elementOf(Value storage) { return cast<RankedTensorType>(storage.getType()).getElementType(); }

Value emptyTensor(LoweringContext &c, ArrayRef<int64_t> shape, Type element) {
  return tensor::EmptyOp::create(c.b, c.loc, shape, element);
}

Value filled(LoweringContext &c, ArrayRef<int64_t> shape, Value scalar) {
  Value init = emptyTensor(c, shape, scalar.getType());
  return linalg::FillOp::create(c.b, c.loc, ValueRange{scalar}, ValueRange{init}).getResult(0);
}

Value generic(LoweringContext &c, ValueRange inputs, ArrayRef<AffineMap> inputMaps, Value init,
              AffineMap output, function_ref<Value(OpBuilder &, Location, ValueRange)> body) {
  SmallVector<AffineMap, 4> maps(inputMaps);
  maps.push_back(output);
  SmallVector<utils::IteratorType, 8> iterators(output.getNumDims(),
                                                utils::IteratorType::reduction);
  for (AffineExpr expr : output.getResults())
    iterators[cast<AffineDimExpr>(expr).getPosition()] = utils::IteratorType::parallel;
  auto op =
      linalg::GenericOp::create(c.b, c.loc, TypeRange{init.getType()}, inputs, ValueRange{init},
                                maps, iterators, [&](OpBuilder &b, Location loc, ValueRange args) {
                                  linalg::YieldOp::create(b, loc, body(b, loc, args));
                                });
  return op.getResult(0);
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

namespace {
/// A tensor operand whose dimension i runs along loop dims[i], with equal sizes.
struct Operand {
  Value tensor;
  Ints dims;
};
} // namespace

/// Squeezes the dimensions along which the operand broadcasts.
static Operand align(LoweringContext &c, const Arg &arg, ArrayRef<int64_t> shape) {
  ArrayRef<int64_t> own = shapeOf(arg.tensor);
  Ints dims = arg.dims ? *arg.dims : iota(own.size(), shape.size() - own.size());
  Operand result{arg.tensor, {}};
  Ints kept;
  for (auto [size, dim] : llvm::zip_equal(own, dims)) {
    if (size != shape[dim])
      continue;
    kept.push_back(size);
    result.dims.push_back(dim);
  }
  if (kept.size() != own.size())
    result.tensor = reshape(c, arg.tensor, kept);
  return result;
}

/// For a view that only splits, joins or adds unit dimensions: the source's dimensions for
/// each dimension of the result; nullopt for other views.
static std::optional<SmallVector<Ints>> sourceDims(Operation *view) {
  SmallVector<Ints> result;
  if (auto collapse = dyn_cast_if_present<tensor::CollapseShapeOp>(view)) {
    if (!collapse.getSrc().getDefiningOp<linalg::GenericOp>() || !collapse.getSrc().hasOneUse())
      return std::nullopt;
    for (const auto &group : collapse.getReassociationIndices())
      result.emplace_back(group.begin(), group.end());
    return result.empty() ? std::nullopt : std::make_optional(result);
  }
  auto expand = dyn_cast_if_present<tensor::ExpandShapeOp>(view);
  if (!expand)
    return std::nullopt;
  ArrayRef<int64_t> shape = expand.getResultType().getShape();
  result.resize(shape.size());
  for (auto [source, group] : llvm::enumerate(expand.getReassociationIndices())) {
    int64_t size = expand.getSrcType().getDimSize(source);
    const auto *carrier = llvm::find_if(group, [&](int64_t d) { return shape[d] == size; });
    if (carrier == group.end())
      return std::nullopt;
    result[*carrier].push_back(source);
  }
  return result;
}

/// Computes on the source of a view instead of the view, so that the computation stays beside
/// the op that made the source (a grouped convolution, a reduction with kept dimensions).
static bool stepThroughView(LoweringContext &c, MutableArrayRef<Operand> operands, Ints &shape) {
  for (Operand &first : operands) {
    if (first.dims.size() != shape.size() || first.dims != iota(shape.size()))
      continue;
    Operation *view = first.tensor.getDefiningOp();
    auto mapping = sourceDims(view);
    if (!mapping)
      continue;
    ArrayRef<int64_t> newShape = shapeOf(view->getOperand(0));
    bool drops = llvm::any_of(*mapping, [](const Ints &dims) { return dims.empty(); });
    SmallVector<Operand> moved;
    for (const Operand &operand : operands) {
      Operand next{operand.tensor, {}};
      Ints sizes;
      for (int64_t d : operand.dims)
        for (int64_t s : (*mapping)[d]) {
          next.dims.push_back(s);
          sizes.push_back(newShape[s]);
        }
      if (ArrayRef<int64_t>(sizes) != shapeOf(operand.tensor)) {
        // Another view in the way of fusion would be no gain.
        auto other = operand.tensor.getDefiningOp<tensor::ExpandShapeOp>();
        bool folds = operand.tensor.getDefiningOp<onnx::DataOp>() ||
                     (other && other.getSrcType().getShape() == ArrayRef<int64_t>(sizes)) ||
                     operand.tensor == first.tensor;
        if (drops && !folds)
          return false;
        next.tensor = reshape(c, operand.tensor, sizes);
      }
      moved.push_back(std::move(next));
    }
    llvm::copy(moved, operands.begin());
    shape.assign(newShape.begin(), newShape.end());
    return true;
  }
  return false;
}

static Value numberOf(Scalar s, const Arg &arg) {
  return isFloat(arg.element) ? s.of(arg.element).constant(arg.number)
                              : s.of(arg.element).integer(arg.integer);
}

Value elementwise(LoweringContext &c, ArrayRef<Arg> args, ArrayRef<int64_t> resultShape,
                  Type element, Type storage, Body body) {
  Ints shape(resultShape);
  SmallVector<Operand> operands;
  for (const Arg &arg : args)
    if (arg.tensor)
      operands.push_back(align(c, arg, shape));
  for (int i = 0; i < 4 && stepThroughView(c, operands, shape); ++i)
    ;
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (const Operand &operand : operands) {
    inputs.push_back(operand.tensor);
    maps.push_back(dimsMap(c, shape.size(), operand.dims));
  }
  Value result = generic(c, inputs, maps, emptyTensor(c, shape, storage),
                         dimsMap(c, shape.size(), iota(shape.size())),
                         [&](OpBuilder &b, Location loc, ValueRange elements) {
                           Scalar s(b, loc, args.front().element);
                           SmallVector<Value> loaded;
                           unsigned next = 0;
                           for (const Arg &arg : args)
                             loaded.push_back(arg.tensor ? s.of(arg.element).load(elements[next++])
                                                         : numberOf(s, arg));
                           return s.of(element).store(body(s, loaded), storage);
                         });
  return reshape(c, result, resultShape);
}

Value elementwise(LoweringContext &c, ArrayRef<Arg> args, RankedTensorType type, Body body) {
  return elementwise(c, args, type.getShape(), type.getElementType(),
                     c.storageElement(type.getElementType()), body);
}

Value toStorage(LoweringContext &c, Value storage, RankedTensorType type) {
  if (elementOf(storage) == c.storageElement(type.getElementType()))
    return storage;
  return elementwise(c, {c.tensorArg(storage, type.getElementType())}, type,
                     [](Scalar &, ArrayRef<Value> x) { return x[0]; });
}

//===----------------------------------------------------------------------===//
// Reductions and contractions
//===----------------------------------------------------------------------===//

Value reduce(LoweringContext &c, ArrayRef<Arg> args, ArrayRef<int64_t> shape,
             ArrayRef<int64_t> axes, Type element, function_ref<Value(Scalar &)> neutral,
             Body body) {
  Ints kept, keptShape;
  for (int64_t d = 0, e = shape.size(); d < e; ++d)
    if (!llvm::is_contained(axes, d)) {
      kept.push_back(d);
      keptShape.push_back(shape[d]);
    }
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (const Arg &arg : args)
    if (arg.tensor) {
      Operand operand = align(c, arg, shape);
      inputs.push_back(operand.tensor);
      maps.push_back(dimsMap(c, shape.size(), operand.dims));
    }
  Scalar outer(c.b, c.loc, element);
  return generic(c, inputs, maps, filled(c, keptShape, neutral(outer)),
                 dimsMap(c, shape.size(), kept),
                 [&](OpBuilder &b, Location loc, ValueRange elements) {
                   Scalar s(b, loc, element);
                   SmallVector<Value> loaded;
                   unsigned next = 0;
                   for (const Arg &arg : args)
                     loaded.push_back(arg.tensor ? s.of(arg.element).load(elements[next++])
                                                 : numberOf(s, arg));
                   loaded.push_back(elements.back());
                   return body(s, loaded);
                 });
}

Value reduce(LoweringContext &c, Arg arg, ArrayRef<int64_t> shape, ArrayRef<int64_t> axes,
             Reduction kind) {
  auto neutral = [kind](Scalar &s) {
    switch (kind) {
    case Reduction::Sum:
      return s.integer(0);
    case Reduction::Product:
      return s.integer(1);
    case Reduction::Max:
      return s.lowest();
    case Reduction::Min:
      return s.highest();
    }
    return Value();
  };
  return reduce(c, {arg}, shape, axes, arg.element, neutral, [kind](Scalar &s, ArrayRef<Value> x) {
    switch (kind) {
    case Reduction::Sum:
      return s.add(x[1], x[0]);
    case Reduction::Product:
      return s.mul(x[1], x[0]);
    case Reduction::Max:
      return s.max(x[1], x[0]);
    case Reduction::Min:
      return s.min(x[1], x[0]);
    }
    return Value();
  });
}

Type accumulatorType(Type a) {
  Type type = computeType(a);
  if (isFloat(type) || type.getIntOrFloatBitWidth() >= 32)
    return type;
  return IntegerType::get(a.getContext(), 32);
}

Value contract(LoweringContext &c, const Factor &a, const Factor &b, AffineMap output,
               ArrayRef<int64_t> shape) {
  Type accumulator = accumulatorType(a.element);
  Scalar outer(c.b, c.loc, accumulator);
  Value init = filled(c, shape, outer.integer(0));
  return generic(c, {a.tensor, b.tensor}, {a.map, b.map}, init, output,
                 [&](OpBuilder &builder, Location loc, ValueRange x) {
                   Scalar s(builder, loc, accumulator);
                   auto factor = [&](const Factor &f, Value element) {
                     Scalar own = s.of(f.element);
                     Value value = own.cast(own.load(element), accumulator);
                     return f.zeroPoint ? s.sub(value, s.integer(f.zeroPoint)) : value;
                   };
                   Value left = factor(a, x[0]), right = factor(b, x[1]);
                   return s.add(x[2], s.mul(left, right));
                 });
}

Value applyMatrix(LoweringContext &c, Value storage, Type element, int64_t dim, int64_t rows,
                  ArrayRef<float> matrix) {
  Ints shape(shapeOf(storage));
  int64_t rank = shape.size();
  Value constant = c.constantFloats(matrix, {rows, shape[dim]});
  Value weights = onnx::DataOp::create(c.b, c.loc, LoweringContext::typeOf(constant), constant);
  Ints in = iota(rank);
  in[dim] = rank;
  shape[dim] = rows;
  Factor x{storage, element, dimsMap(c, rank + 1, in)};
  Factor w{weights, c.b.getF32Type(), dimsMap(c, rank + 1, {dim, rank})};
  return contract(c, x, w, dimsMap(c, rank + 1, iota(rank)), shape);
}

} // namespace npucc::lowering

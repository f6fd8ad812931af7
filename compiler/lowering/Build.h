//===- Build.h - Pieces that lowerings are made of ----------------*- C++ -*-===//
//
// Everything the scheduler later meets is made here, so that its conventions hold
// in one place: maps are projected permutations or linear windows, reductions
// start from a fill, unit dimensions that broadcast are squeezed out.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/lowering/Lowering.h"

#include "mlir/IR/AffineMap.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace npucc::lowering {

/// Gets the elements in their compute types; returns a computed value.
using Body = llvm::function_ref<mlir::Value(Scalar &, llvm::ArrayRef<mlir::Value>)>;

mlir::Value emptyTensor(LoweringContext &c, llvm::ArrayRef<int64_t> shape, mlir::Type element);
/// linalg.fill(tensor.empty) with a scalar built by `value`.
mlir::Value filled(LoweringContext &c, llvm::ArrayRef<int64_t> shape, mlir::Value scalar);

//===-- structured ops -----------------------------------------------------===//

/// Parallel over `shape`. The body's Scalar has the first operand's element type. The result
/// has ONNX element type `element`, stored as `storage`.
mlir::Value elementwise(LoweringContext &c, llvm::ArrayRef<Arg> args, llvm::ArrayRef<int64_t> shape,
                        mlir::Type element, mlir::Type storage, Body body);
/// The same for a result of an ONNX type, in its ordinary storage.
mlir::Value elementwise(LoweringContext &c, llvm::ArrayRef<Arg> args, mlir::RankedTensorType type,
                        Body body);
/// `storage`, whose elements stand for ONNX type `type`, in the ordinary storage of `type`.
mlir::Value toStorage(LoweringContext &c, mlir::Value storage, mlir::RankedTensorType type);

/// Reduces `axes` (sorted) of `shape`; the result has the other dimensions, and its elements
/// are computeType(element). The body gets the operands and then the accumulator.
mlir::Value reduce(LoweringContext &c, llvm::ArrayRef<Arg> args, llvm::ArrayRef<int64_t> shape,
                   llvm::ArrayRef<int64_t> axes, mlir::Type element,
                   llvm::function_ref<mlir::Value(Scalar &)> neutral, Body body);
enum class Reduction { Sum, Max, Min, Product };
mlir::Value reduce(LoweringContext &c, Arg arg, llvm::ArrayRef<int64_t> shape,
                   llvm::ArrayRef<int64_t> axes, Reduction kind);

/// One side of a contraction: storage, ONNX element type, zero point and map.
struct Factor {
  mlir::Value tensor;
  mlir::Type element;
  mlir::AffineMap map;
  int64_t zeroPoint = 0;
};
/// out + (a - za) * (b - zb); accumulates in f32, or in i32 for narrow integers. Loops that
/// `output` does not use are reductions.
mlir::Value contract(LoweringContext &c, const Factor &a, const Factor &b, mlir::AffineMap output,
                     llvm::ArrayRef<int64_t> shape);
/// The ONNX element type that stands for contract()'s accumulator.
mlir::Type accumulatorType(mlir::Type a);

/// Along dimension `dim` (of ONNX element type `element`), the product with a constant matrix of
/// `rows` rows; f32 sums.
mlir::Value applyMatrix(LoweringContext &c, mlir::Value storage, mlir::Type element, int64_t dim,
                        int64_t rows, llvm::ArrayRef<float> matrix);

/// A generic as it is: one result, stored as the init is.
mlir::Value
generic(LoweringContext &c, mlir::ValueRange inputs, llvm::ArrayRef<mlir::AffineMap> inputMaps,
        mlir::Value init, mlir::AffineMap output,
        llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Location, mlir::ValueRange)> body);

//===-- views and data movement --------------------------------------------===//

/// Row-major view; reshapes a constant's expression instead of its data.
mlir::Value reshape(LoweringContext &c, mlir::Value storage, llvm::ArrayRef<int64_t> shape);
/// Result dimension i is operand dimension permutation[i]. A view where only unit
/// dimensions move.
mlir::Value transpose(LoweringContext &c, mlir::Value storage, llvm::ArrayRef<int64_t> permutation);
mlir::Value slice(LoweringContext &c, mlir::Value storage, llvm::ArrayRef<int64_t> offsets,
                  llvm::ArrayRef<int64_t> sizes, llvm::ArrayRef<int64_t> strides = {});
mlir::Value insert(LoweringContext &c, mlir::Value part, mlir::Value into,
                   llvm::ArrayRef<int64_t> offsets, llvm::ArrayRef<int64_t> strides = {});
mlir::Value concat(LoweringContext &c, llvm::ArrayRef<mlir::Value> parts, int64_t axis);
/// tensor.pad with a constant; no op where nothing is padded. `value` is of the storage type.
mlir::Value pad(LoweringContext &c, mlir::Value storage, llvm::ArrayRef<int64_t> low,
                llvm::ArrayRef<int64_t> high, mlir::TypedAttr value);
/// A number as an attribute of a storage type.
mlir::TypedAttr storageNumber(mlir::Type storage, double value);
/// Rows `indices` along `axis`, from few enough contiguous runs; null where there are more.
mlir::Value take(LoweringContext &c, mlir::Value storage, int64_t axis,
                 llvm::ArrayRef<int64_t> indices);

//===-- shapes -------------------------------------------------------------===//

int64_t product(llvm::ArrayRef<int64_t> shape);
Ints iota(int64_t count, int64_t first = 0);
/// `axis` in [0, rank).
inline int64_t wrap(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }
/// A map from `loops` dimensions to those listed.
mlir::AffineMap dimsMap(LoweringContext &c, int64_t loops, llvm::ArrayRef<int64_t> dims);
/// The shape of a storage tensor.
llvm::ArrayRef<int64_t> shapeOf(mlir::Value storage);
mlir::Type elementOf(mlir::Value storage);

} // namespace npucc::lowering

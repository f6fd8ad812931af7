//===- Storage.h - Where whole tensors live -----------------------*- C++ -*-===//
//
// Between groups a tensor is a whole buffer ("storage"), in DRAM or resident in
// scratchpad. Reshapes, slices, transposes, padding and concatenation are views of a
// storage: strides, an offset and bounds, so that they move no data. Where a view cannot
// express a reshape, a copy is inserted into the IR and becomes a command with a cost.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/onnx/OnnxDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "llvm/ADT/DenseMap.h"

#include <list>

namespace npucc::schedule {

// The runtime has a Value and an Attribute of its own.
using mlir::Attribute;
using mlir::Value;

struct Storage {
  enum class Kind { Input, Output, Constant, Intermediate };
  Kind kind = Kind::Intermediate;
  int id = 0;
  mlir::Type elementType;
  llvm::SmallVector<int64_t> shape, strides; ///< in elements
  int64_t bytes = 0;
  unsigned port = 0;    ///< argument or result number of the function
  mlir::Value constant; ///< Constant: the tensor value (an onnx.data)
  std::string name;

  // Filled by planning.
  bool resident = false;
  int64_t address = -1; ///< in scratchpad when resident
  int firstGroup = 1 << 30, lastGroup = -1;
};

/// A window on a storage: element c lies at offset + sum (c[r] - low[r]) * strides[r];
/// padded dimensions read as `fill` where c[r] - low[r] is outside [0, bound[r]).
struct View {
  Storage *storage = nullptr;
  llvm::SmallVector<int64_t> shape, strides;
  int64_t offset = 0;
  llvm::SmallVector<int64_t> low, bound; ///< bound -1: the dimension is not padded
  double fill = 0;

  bool padded() const {
    return llvm::any_of(bound, [](int64_t b) { return b >= 0; });
  }
};

/// Views of every tensor value of the function that is not inside a group.
class StorageMap {
public:
  /// Decides destinations and layouts; inserts copies where a value cannot be a view.
  mlir::LogicalResult build(mlir::func::FuncOp function);

  const View &view(mlir::Value value) const { return views.find(value)->second; }
  bool has(mlir::Value value) const { return views.count(value); }
  std::list<Storage> &all() { return storages; }
  /// True when the value's bytes are a part of a larger tensor or a graph output: its
  /// producer must write it out.
  bool placed(mlir::Value value) const { return destinations.count(value); }
  /// A transposition that became a view: no command.
  bool isView(mlir::Operation *op) const { return permutes.count(op); }

private:
  Storage *create(Storage::Kind kind, mlir::RankedTensorType type, llvm::ArrayRef<int64_t> order);
  View whole(Storage *storage);
  mlir::LogicalResult placeOperations(mlir::func::FuncOp function);
  bool place(mlir::Value value, const View &destination);
  mlir::Value copyOf(mlir::OpBuilder &builder, mlir::Value value);
  mlir::LogicalResult viewOperations(mlir::func::FuncOp function);
  llvm::SmallVector<int64_t> preferredOrder(mlir::Value value);

  std::list<Storage> storages;
  llvm::DenseMap<mlir::Value, View> views, destinations;
  llvm::DenseSet<mlir::Operation *> permutes;
};

/// `view` under another shape; false when its strides cannot express it.
bool reshapeView(const View &view, llvm::ArrayRef<int64_t> shape, View &result);

/// A pure transposition: one input, permutation maps, the body yields the input.
bool isPermute(mlir::linalg::GenericOp op);

} // namespace npucc::schedule

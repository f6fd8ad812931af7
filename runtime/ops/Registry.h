//===- Registry.h - What the project knows about an ONNX operator -*- C++ -*-===//
//
// One entry per operator, in its newest form: the shape rule, the reference
// kernel and the count of multiply-accumulates. Older forms are brought to the
// newest one when a file is loaded (runtime/onnx/Upgrade.cpp), so that neither
// the reference nor the compiler knows about opsets.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

namespace npucc {

/// What a shape rule sees: the node, the types of its inputs, and the contents
/// of those inputs that are known constants.
struct InferContext {
  const Node &node;
  llvm::ArrayRef<const Value *> inputs;         ///< nullptr: absent
  llvm::ArrayRef<const Tensor *> constantInputs; ///< nullptr: absent or not constant
  llvm::MutableArrayRef<Value> outputs;         ///< to fill: type and dims

  bool has(size_t i) const { return i < inputs.size() && inputs[i]; }
  const Tensor *constant(size_t i) const {
    return i < constantInputs.size() ? constantInputs[i] : nullptr;
  }
};

using Tensors = llvm::SmallVector<Tensor, 4>;

/// Fills types, and dimensions as far as they are known (size -1 or no dims
/// where they depend on data). An error says what is wrong with the node.
using ShapeRule = llvm::Error (*)(InferContext &);
/// Absent optional inputs are undefined tensors. Never throws, never aborts:
/// whatever a file can ask for that is wrong comes back as an error.
using Kernel = llvm::Expected<Tensors> (*)(const Node &, llvm::ArrayRef<Tensor> inputs);
/// Dense algorithmic multiply-accumulates, from static shapes. nullptr: none.
using MacRule = int64_t (*)(const Node &, llvm::ArrayRef<const Value *> inputs,
                            llvm::ArrayRef<const Value *> outputs);

struct OpInfo {
  const char *domain; ///< "" or "com.microsoft"
  const char *name;
  int since; ///< opset in which the newest form appeared
  ShapeRule infer;
  Kernel kernel;
  MacRule macs = nullptr;
};

/// nullptr for an operator that is not known.
const OpInfo *findOp(llvm::StringRef domain, llvm::StringRef name);
/// All entries, sorted by domain and name.
llvm::ArrayRef<const OpInfo *> allOps();

// Each family file under runtime/ops defines one of these; Registry.cpp lists them.
llvm::ArrayRef<OpInfo> convolutionOps();   // Conv, ConvTranspose, *Pool, QLinearConv, ConvInteger
llvm::ArrayRef<OpInfo> matmulOps();        // MatMul, Gemm, Einsum, QLinearMatMul, MatMulInteger
llvm::ArrayRef<OpInfo> elementwiseOps();   // unary, binary, comparison, Where, Cast, Clip, ...
llvm::ArrayRef<OpInfo> reductionOps();     // Reduce*, ArgMax, Softmax, CumSum, TopK
llvm::ArrayRef<OpInfo> normalizationOps(); // BatchNormalization, LayerNormalization, LRN, ...
llvm::ArrayRef<OpInfo> shapeOps();         // Reshape, Transpose, Slice, Concat, Pad, Gather, ...
llvm::ArrayRef<OpInfo> quantizationOps();  // QuantizeLinear, DequantizeLinear, Dynamic..., QLinear*
llvm::ArrayRef<OpInfo> recurrentOps();     // LSTM, GRU, RNN
llvm::ArrayRef<OpInfo> controlOps();       // If, Loop, Scan: shape rules; evaluated by the reference
llvm::ArrayRef<OpInfo> imageOps();         // Resize, GridSample, DepthToSpace, NonMaxSuppression, ...

} // namespace npucc

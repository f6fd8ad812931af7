//===- TensorReader.h - Tensors of an ONNX file -----------------*- C++ -*-===//
#pragma once

#include "runtime/tensor/Tensor.h"

#include "llvm/ADT/StringMap.h"

namespace onnx {
class SparseTensorProto;
class TensorProto;
} // namespace onnx

namespace npucc {

/// Turns TensorProtos into Tensors. Bytes stay where they are wherever their
/// layout allows: in the parsed protobuf, or in a mapped external file.
class TensorReader {
public:
  /// `modelPath`: external data must lie in this file's folder, or below it.
  explicit TensorReader(std::string modelPath) : modelPath(std::move(modelPath)) {}

  /// `owner` keeps `proto` alive.
  llvm::Expected<Tensor> read(const onnx::TensorProto &proto, std::shared_ptr<const void> owner);
  /// The dense form of a sparse tensor.
  llvm::Expected<Tensor> read(const onnx::SparseTensorProto &proto,
                              std::shared_ptr<const void> owner);

private:
  struct Mapping {
    llvm::StringRef bytes;
    std::shared_ptr<const void> owner;
  };
  llvm::Expected<Tensor> readExternal(const onnx::TensorProto &proto, ElementType type,
                                      llvm::ArrayRef<int64_t> shape, size_t bytes);
  llvm::Expected<Mapping> map(llvm::StringRef location);

  std::string modelPath;
  llvm::StringMap<Mapping> files;
};

/// The element type with this number in a file; an error when it is not one we know.
llvm::Expected<ElementType> checkedElementType(int32_t dataType);

} // namespace npucc

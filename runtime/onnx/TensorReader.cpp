//===- TensorReader.cpp - Tensors of an ONNX file -----------------------------===//

#include "runtime/onnx/TensorReader.h"

#include "runtime/onnx/Errors.h"
#include "runtime/tensor/TensorLimit.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <onnx/onnx_pb.h>

#include <algorithm>

using namespace npucc;
using llvm::StringRef;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

namespace {

/// No sparse tensor may become larger than this when it is made dense.
constexpr int64_t kMaxDenseBytes = int64_t(1) << 30;

size_t byteCount(ElementType type, int64_t count) {
  auto elements = static_cast<size_t>(count);
  return bitWidth(type) == 4 ? (elements + 1) / 2 : elements * (bitWidth(type) / 8);
}

/// A view of the bytes, or a copy where their address does not suit the type.
Tensor viewOrCopy(ElementType type, llvm::ArrayRef<int64_t> shape, const void *data,
                  std::shared_ptr<const void> owner) {
  size_t alignment = std::clamp<size_t>(bitWidth(type) / 8, 1, 8);
  if (reinterpret_cast<uintptr_t>(data) % alignment == 0)
    return Tensor::view(type, shape, data, std::move(owner));
  Tensor copy = Tensor::zeros(type, shape);
  if (copy.byteSize())
    std::memcpy(copy.mutableData(), data, copy.byteSize());
  return copy;
}

/// Elements out of a repeated field whose own elements are wider.
template <typename Stored, typename Field>
Tensor narrowed(ElementType type, llvm::ArrayRef<int64_t> shape, const Field &field) {
  Tensor result = Tensor::zeros(type, shape);
  auto *out = reinterpret_cast<Stored *>(result.mutableData());
  for (int i = 0; i < field.size(); ++i)
    out[i] = static_cast<Stored>(field[i]);
  return result;
}

/// Elements out of the field that the format prescribes for the type.
llvm::Expected<Tensor> readTyped(const onnx::TensorProto &proto, ElementType type,
                                 llvm::ArrayRef<int64_t> shape, int64_t count,
                                 std::shared_ptr<const void> owner) {
  int64_t expected = count;
  auto wrongCount = [&](int64_t found) {
    return makeError("holds {0} values where its shape asks for {1}", found, expected);
  };
  switch (type) {
  case ElementType::Complex64:
    expected = count * 2;
    [[fallthrough]];
  case ElementType::Float32:
    if (proto.float_data_size() != expected)
      return wrongCount(proto.float_data_size());
    return viewOrCopy(type, shape, proto.float_data().data(), std::move(owner));
  case ElementType::Complex128:
    expected = count * 2;
    [[fallthrough]];
  case ElementType::Float64:
    if (proto.double_data_size() != expected)
      return wrongCount(proto.double_data_size());
    return viewOrCopy(type, shape, proto.double_data().data(), std::move(owner));
  case ElementType::Int64:
    if (proto.int64_data_size() != expected)
      return wrongCount(proto.int64_data_size());
    return viewOrCopy(type, shape, proto.int64_data().data(), std::move(owner));
  case ElementType::Uint64:
  case ElementType::Uint32:
    if (proto.uint64_data_size() != expected)
      return wrongCount(proto.uint64_data_size());
    if (type == ElementType::Uint32)
      return narrowed<uint32_t>(type, shape, proto.uint64_data());
    return viewOrCopy(type, shape, proto.uint64_data().data(), std::move(owner));
  case ElementType::String: {
    if (proto.string_data_size() != expected)
      return wrongCount(proto.string_data_size());
    return Tensor::strings(shape, {proto.string_data().begin(), proto.string_data().end()});
  }
  case ElementType::Uint4:
  case ElementType::Int4:
    expected = count / 2 + count % 2; // two to a field element, like raw data
    break;
  default:
    break;
  }
  if (proto.int32_data_size() != expected)
    return wrongCount(proto.int32_data_size());
  if (type == ElementType::Int32)
    return viewOrCopy(type, shape, proto.int32_data().data(), std::move(owner));
  if (bitWidth(type) == 16)
    return narrowed<uint16_t>(type, shape, proto.int32_data());
  return narrowed<uint8_t>(type, shape, proto.int32_data());
}

} // namespace

llvm::Expected<ElementType> npucc::checkedElementType(int32_t dataType) {
  if (dataType < 1 || dataType > static_cast<int32_t>(ElementType::Int4))
    return makeError("element type {0} is not supported", dataType);
  return static_cast<ElementType>(dataType);
}

llvm::Expected<Tensor> TensorReader::read(const onnx::TensorProto &proto,
                                          std::shared_ptr<const void> owner) {
  auto type = checkedElementType(proto.data_type());
  if (!type)
    return type.takeError();
  Shape shape(proto.dims().begin(), proto.dims().end());
  std::optional<int64_t> count = checkedElementCount(shape);
  if (!count || *count > kMaxElements)
    return makeError("its shape [{0:$[,]}] is not valid",
                     llvm::make_range(shape.begin(), shape.end()));
  if (proto.has_segment())
    return makeError("segmented tensors are not supported");

  size_t bytes = byteCount(*type, *count);
  if (proto.data_location() == onnx::TensorProto::EXTERNAL)
    return readExternal(proto, *type, shape, bytes);
  if (!proto.has_raw_data() || *type == ElementType::String)
    return readTyped(proto, *type, shape, *count, std::move(owner));
  if (proto.raw_data().size() != bytes)
    return makeError("holds {0} bytes where its shape [{1:$[,]}] of {2} asks for {3}",
                     proto.raw_data().size(), llvm::make_range(shape.begin(), shape.end()),
                     name(*type), bytes);
  return viewOrCopy(*type, shape, proto.raw_data().data(), std::move(owner));
}

llvm::Expected<TensorReader::Mapping> TensorReader::map(StringRef location) {
  auto known = files.find(location);
  if (known != files.end())
    return known->second;

  if (location.empty() || path::is_absolute(location))
    return makeError("external data {0} is not a relative path", quoted(location));
  for (StringRef part : llvm::make_range(path::begin(location), path::end(location)))
    if (part == "..")
      return makeError("external data {0} leaves the model's folder", quoted(location));
  llvm::SmallString<256> folder(path::parent_path(modelPath)), file;
  if (folder.empty())
    folder = ".";
  llvm::SmallString<256> realFolder, realFile;
  file = folder;
  path::append(file, location);
  if (std::error_code code = fs::real_path(folder, realFolder))
    return makeError("external data {0}: {1}", quoted(location), code.message());
  if (std::error_code code = fs::real_path(file, realFile))
    return makeError("external data {0}: {1}", quoted(location), code.message());
  // A symbolic link must not lead out of the folder either.
  StringRef inside = realFile;
  if (!inside.consume_front(realFolder) ||
      (!inside.starts_with("/") && !StringRef(realFolder).ends_with("/")))
    return makeError("external data {0} leaves the model's folder", quoted(location));
  if (!fs::is_regular_file(realFile))
    return makeError("external data {0} is not a regular file", quoted(location));

  auto buffer = llvm::MemoryBuffer::getFile(realFile, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return makeError("external data {0}: {1}", quoted(location), buffer.getError().message());
  std::shared_ptr<llvm::MemoryBuffer> shared = std::move(*buffer);
  Mapping mapping{shared->getBuffer(), shared};
  files[location] = mapping;
  return mapping;
}

llvm::Expected<Tensor> TensorReader::readExternal(const onnx::TensorProto &proto, ElementType type,
                                                  llvm::ArrayRef<int64_t> shape, size_t bytes) {
  if (type == ElementType::String)
    return makeError("strings cannot be external data");
  StringRef location;
  uint64_t offset = 0, length = bytes;
  for (const onnx::StringStringEntryProto &entry : proto.external_data()) {
    StringRef value = entry.value();
    uint64_t *number = entry.key() == "offset"   ? &offset
                       : entry.key() == "length" ? &length
                                                 : nullptr;
    if (entry.key() == "location")
      location = value;
    else if (number && value.getAsInteger(10, *number))
      return makeError("external data: {0} {1} is not a number", entry.key(), quoted(value));
  }
  if (length != bytes)
    return makeError("external data: a length of {0} bytes where the shape asks for {1}", length,
                     bytes);
  auto mapping = map(location);
  if (!mapping)
    return mapping.takeError();
  if (offset > mapping->bytes.size() || bytes > mapping->bytes.size() - offset)
    return makeError("external data {0}: {1} bytes at {2} lie past the file's end ({3} bytes)",
                     quoted(location), bytes, offset, mapping->bytes.size());
  return viewOrCopy(type, shape, mapping->bytes.data() + offset, mapping->owner);
}

llvm::Expected<Tensor> TensorReader::read(const onnx::SparseTensorProto &proto,
                                          std::shared_ptr<const void> owner) {
  auto values = read(proto.values(), owner);
  if (!values)
    return values.takeError();
  auto indices = read(proto.indices(), owner);
  if (!indices)
    return indices.takeError();
  Shape shape(proto.dims().begin(), proto.dims().end());
  std::optional<int64_t> count = checkedElementCount(shape);
  unsigned bits = bitWidth(values->type());
  if (!count || bits < 8 || *count > std::min(kMaxDenseBytes, maxTensorBytes()) / (bits / 8))
    return makeError("a sparse tensor of shape [{0:$[,]}] is not supported",
                     llvm::make_range(shape.begin(), shape.end()));
  int64_t stored = values->size();
  // Indices are linear, [NNZ], or coordinates, [NNZ, rank].
  bool linear = indices->rank() == 1;
  if (values->rank() != 1 || indices->type() != ElementType::Int64 ||
      indices->size() != stored * (linear ? 1 : static_cast<int64_t>(shape.size())))
    return makeError("the indices of a sparse tensor do not match its values");

  Tensor dense = Tensor::zeros(values->type(), shape);
  size_t width = bits / 8;
  auto index = indices->values<int64_t>();
  for (int64_t i = 0; i < stored; ++i) {
    int64_t at = linear ? index[i] : 0;
    for (size_t d = 0; !linear && d < shape.size(); ++d) {
      int64_t coordinate = index[i * shape.size() + d];
      if (coordinate < 0 || coordinate >= shape[d])
        return makeError("a sparse tensor has an index out of bounds");
      at = at * shape[d] + coordinate;
    }
    if (at < 0 || at >= *count)
      return makeError("a sparse tensor has an index out of bounds");
    std::memcpy(dense.mutableData() + at * width, values->data() + i * width, width);
  }
  return dense;
}

//===- Npy.cpp - NumPy .npy files ---------------------------------------------===//

#include "runtime/tensor/Tensor.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Errc.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace npucc;
using llvm::StringRef;

namespace {

struct Descr {
  const char *text; ///< without the byte order
  ElementType type;
};

constexpr Descr kDescrs[] = {
    {"f4", ElementType::Float32},   {"f8", ElementType::Float64},     {"f2", ElementType::Float16},
    {"u1", ElementType::Uint8},     {"i1", ElementType::Int8},        {"b1", ElementType::Bool},
    {"u2", ElementType::Uint16},    {"i2", ElementType::Int16},       {"u4", ElementType::Uint32},
    {"i4", ElementType::Int32},     {"u8", ElementType::Uint64},      {"i8", ElementType::Int64},
    {"c8", ElementType::Complex64}, {"c16", ElementType::Complex128},
};

struct Header {
  ElementType type = ElementType::Undefined;
  bool fortran = false;
  Shape shape;
};

template <typename... Ts> llvm::Error fail(StringRef path, const char *format, Ts &&...values) {
  return llvm::createStringError(llvm::errc::invalid_argument, "%s: %s", path.str().c_str(),
                                 llvm::formatv(format, std::forward<Ts>(values)...).str().c_str());
}

/// The text after `'key':` of the header's dictionary, empty if there is none.
StringRef field(StringRef header, StringRef key) {
  for (char quote : {'\'', '"'}) {
    std::string quoted = quote + key.str() + quote;
    size_t at = header.find(quoted);
    if (at == StringRef::npos)
      continue;
    StringRef rest = header.drop_front(at + quoted.size()).ltrim();
    if (rest.consume_front(":"))
      return rest.ltrim();
  }
  return {};
}

llvm::Error parseHeader(StringRef path, StringRef text, Header &header) {
  StringRef descr = field(text, "descr");
  if (descr.empty() || (descr[0] != '\'' && descr[0] != '"'))
    return fail(path, "the .npy header has no simple 'descr'");
  descr = descr.drop_front().take_until([&](char c) { return c == '\'' || c == '"'; });
  StringRef kind = descr;
  char order = kind.empty() ? '|' : kind[0];
  if (StringRef("<>|=").contains(order))
    kind = kind.drop_front();
  if (order == '>' && kind.size() > 1 && kind[1] != '1')
    return fail(path, "big-endian data ('{0}') is not supported", descr);
  for (const Descr &known : kDescrs)
    if (kind == known.text)
      header.type = known.type;
  if (header.type == ElementType::Undefined)
    return fail(path, "element type '{0}' is not supported", descr);

  StringRef fortran = field(text, "fortran_order");
  if (!fortran.starts_with("True") && !fortran.starts_with("False"))
    return fail(path, "the .npy header has no 'fortran_order'");
  header.fortran = fortran.starts_with("True");

  StringRef shape = field(text, "shape");
  size_t end = shape.find(')');
  if (!shape.consume_front("(") || end == StringRef::npos)
    return fail(path, "the .npy header has no 'shape'");
  shape = shape.take_front(end - 1);
  while (!shape.trim().empty()) {
    auto [dim, rest] = shape.split(',');
    int64_t size;
    dim = dim.trim();
    dim.consume_back("L"); // Python 2 wrote long integers so
    if (dim.getAsInteger(10, size) || size < 0)
      return fail(path, "the .npy header has a bad dimension '{0}'", dim);
    header.shape.push_back(size);
    shape = rest;
  }
  return llvm::Error::success();
}

/// Fortran to C order.
Tensor transposed(const Tensor &source) {
  // The source's bytes are those of a C-order tensor with the dimensions reversed.
  Tensor result = Tensor::zeros(source.type(), source.shape());
  size_t width = bitWidth(source.type()) / 8;
  llvm::ArrayRef<int64_t> shape = source.shape();
  int64_t rank = source.rank();
  Shape stride(rank, 1), index(rank, 0);
  for (int64_t d = 1; d < rank; ++d)
    stride[d] = stride[d - 1] * shape[d - 1];
  uint8_t *out = result.mutableData();
  for (int64_t i = 0, count = source.size(), from = 0; i < count; ++i) {
    std::memcpy(out + static_cast<size_t>(i) * width,
                source.data() + static_cast<size_t>(from) * width, width);
    for (int64_t d = rank - 1; d >= 0; --d) {
      from += stride[d];
      if (++index[d] < shape[d])
        break;
      from -= stride[d] * shape[d];
      index[d] = 0;
    }
  }
  return result;
}

} // namespace

llvm::Expected<Tensor> npucc::readNpy(const std::string &path) {
  // A device or a pipe could deliver bytes without end.
  llvm::sys::fs::file_status status;
  if (std::error_code code = llvm::sys::fs::status(path, status))
    return fail(path, "{0}", code.message());
  if (status.type() != llvm::sys::fs::file_type::regular_file)
    return fail(path, "not a regular file");
  auto bufferOrError =
      llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!bufferOrError)
    return fail(path, "{0}", bufferOrError.getError().message());
  std::shared_ptr<llvm::MemoryBuffer> buffer = std::move(*bufferOrError);

  StringRef bytes = buffer->getBuffer();
  if (!bytes.starts_with("\x93NUMPY") || bytes.size() < 10)
    return fail(path, "not a .npy file");
  auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(bytes[i])); };
  size_t version = byte(6);
  if (version < 1 || version > 3)
    return fail(path, ".npy version {0} is not supported", version);
  size_t start = version == 1 ? 10 : 12;
  if (bytes.size() < start)
    return fail(path, "the file is cut short");
  size_t length = byte(8) | byte(9) << 8;
  if (version > 1)
    length |= byte(10) << 16 | byte(11) << 24;
  if (length > bytes.size() - start)
    return fail(path, "the file is cut short");

  Header header;
  if (llvm::Error error = parseHeader(path, bytes.substr(start, length), header))
    return std::move(error);
  std::optional<int64_t> count = checkedElementCount(header.shape);
  size_t width = bitWidth(header.type) / 8;
  StringRef data = bytes.drop_front(start + length);
  if (!count || static_cast<size_t>(*count) > data.size() / width)
    return fail(
        path, "the file is cut short: {0} bytes of data do not hold shape [{1}] of {2}",
        data.size(),
        llvm::join(llvm::map_range(header.shape, [](int64_t d) { return std::to_string(d); }), ","),
        name(header.type));

  Tensor tensor;
  size_t alignment = std::min<size_t>(width, 8);
  if (reinterpret_cast<uintptr_t>(data.data()) % alignment == 0) {
    tensor = Tensor::view(header.type, header.shape, data.data(), buffer);
  } else {
    tensor = Tensor::zeros(header.type, header.shape);
    std::memcpy(tensor.mutableData(), data.data(), tensor.byteSize());
  }
  return header.fortran && tensor.rank() > 1 ? transposed(tensor) : tensor;
}

llvm::Error npucc::writeNpy(const std::string &path, const Tensor &tensor) {
  // What NumPy has no type for is written in one that holds it.
  Tensor stored = tensor;
  ElementType type = tensor.type();
  if (type == ElementType::Int4)
    type = ElementType::Int8;
  else if (type == ElementType::Uint4)
    type = ElementType::Uint8;
  if (type != tensor.type())
    stored = castTensor(tensor, type);
  else if (type == ElementType::BFloat16)
    type = ElementType::Uint16;
  else if (isFloat(type) && bitWidth(type) == 8)
    type = ElementType::Uint8;

  std::string descr;
  for (const Descr &known : kDescrs)
    if (known.type == type)
      descr = (bitWidth(type) == 8 ? "|" : "<") + std::string(known.text);
  if (descr.empty())
    return fail(path, "a tensor of {0} cannot be written as .npy", name(type));

  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (";
  for (int64_t dim : tensor.shape())
    header += std::to_string(dim) + ", ";
  if (tensor.rank() > 1)
    header.resize(header.size() - 2);
  else if (tensor.rank() == 1)
    header.pop_back();
  header += "), }";
  // The data starts at a multiple of 64; the header ends in a newline.
  size_t prefix = 10;
  bool large = header.size() + 64 > 0xFFFF;
  if (large)
    prefix = 12;
  header.append(63 - (prefix + header.size()) % 64, ' ');
  header += '\n';

  std::error_code code;
  llvm::raw_fd_ostream out(path, code);
  if (code)
    return fail(path, "{0}", code.message());
  out << "\x93NUMPY" << static_cast<char>(large ? 2 : 1) << '\0';
  for (size_t i = 0; i < prefix - 8; ++i)
    out << static_cast<char>(header.size() >> (8 * i));
  out << header << StringRef(reinterpret_cast<const char *>(stored.data()), stored.byteSize());
  out.close();
  if (out.has_error()) {
    code = out.error();
    out.clear_error();
    return fail(path, "{0}", code.message());
  }
  return llvm::Error::success();
}

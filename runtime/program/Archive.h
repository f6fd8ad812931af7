//===- Archive.h - Little-endian fields of a .npu file ----------*- C++ -*-===//
//
// One description of each record serves writing and reading: fields(archive, record).
// A reader that has failed once yields zeros and empty lists from then on, so that
// callers check once at the end. Lists grow one element at a time: a hostile count
// runs into the end of the file before it can allocate much.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/tensor/Tensor.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace npucc {

/// Tensor bytes start at multiples of this in the file, so that they can be used in place.
constexpr size_t kBlobAlignment = 64;

class Writer {
public:
  static constexpr bool isReader = false;
  bool failed() const { return false; }
  void fail(llvm::StringRef) {}

  void raw(void *data, size_t size) { bytes.append(static_cast<const char *>(data), size); }

  /// Offset of the tensor's bytes in the blob section; equal pointers are stored once.
  uint64_t addBlob(const Tensor &tensor) {
    auto [it, isNew] = known.try_emplace({tensor.data(), tensor.byteSize()}, blobBytes);
    if (isNew) {
      blobs.push_back(tensor);
      blobBytes += (tensor.byteSize() + kBlobAlignment - 1) / kBlobAlignment * kBlobAlignment;
    }
    return it->second;
  }

  std::string bytes;
  std::vector<Tensor> blobs;
  uint64_t blobBytes = 0;

private:
  std::map<std::pair<const void *, size_t>, uint64_t> known;
};

class Reader {
public:
  static constexpr bool isReader = true;
  Reader(llvm::ArrayRef<uint8_t> bytes, llvm::ArrayRef<uint8_t> blob,
         std::shared_ptr<const void> owner)
      : blob(blob), owner(std::move(owner)), rest(bytes) {}

  bool failed() const { return !why.empty(); }
  void fail(llvm::StringRef reason) {
    if (why.empty())
      why = reason.str();
    rest = {};
  }
  const std::string &reason() const { return why; }
  size_t left() const { return rest.size(); }

  void raw(void *data, size_t size) {
    if (rest.size() < size) {
      fail("the file ends inside a record");
      std::memset(data, 0, size);
      return;
    }
    if (size)
      std::memcpy(data, rest.data(), size);
    rest = rest.drop_front(size);
  }
  llvm::StringRef take(uint64_t size) {
    if (rest.size() < size) {
      fail("the file ends inside a string");
      return {};
    }
    llvm::StringRef text(reinterpret_cast<const char *>(rest.data()), size);
    rest = rest.drop_front(size);
    return text;
  }

  llvm::ArrayRef<uint8_t> blob;
  std::shared_ptr<const void> owner;
  int depth = 0; ///< of nested subgraphs

private:
  llvm::ArrayRef<uint8_t> rest;
  std::string why;
};

template <class A, class T> std::enable_if_t<std::is_arithmetic_v<T>> io(A &ar, T &value) {
  // The host is little-endian (x86-64, AArch64), as the file is.
  if constexpr (std::is_same_v<T, bool>) {
    uint8_t byte = value;
    ar.raw(&byte, 1);
    if (byte > 1)
      ar.fail("a flag is neither 0 nor 1");
    value = byte == 1;
  } else {
    ar.raw(&value, sizeof value);
  }
}

template <class A, class E> void ioEnum(A &ar, E &value, E last) {
  auto number = static_cast<uint8_t>(value);
  ar.raw(&number, 1);
  if (number > static_cast<uint8_t>(last)) {
    ar.fail("unknown enumerator " + std::to_string(number));
    number = 0;
  }
  value = static_cast<E>(number);
}

template <class A> void io(A &ar, ElementType &type) { ioEnum(ar, type, ElementType::Int4); }

template <class A> void io(A &ar, std::string &text) {
  uint64_t size = text.size();
  io(ar, size);
  if constexpr (A::isReader)
    text = ar.take(size).str();
  else
    ar.raw(text.data(), text.size());
}

template <class A, class T> std::enable_if_t<std::is_class_v<T>> io(A &ar, T &record) {
  fields(ar, record);
}

template <class A, class List> void ioList(A &ar, List &list) {
  uint64_t size = list.size();
  io(ar, size);
  if constexpr (A::isReader) {
    list.clear();
    for (uint64_t i = 0; i < size && !ar.failed(); ++i) {
      list.emplace_back();
      io(ar, list.back());
    }
  } else {
    for (auto &element : list)
      io(ar, element);
  }
}
template <class A, class T> void io(A &ar, std::vector<T> &list) { ioList(ar, list); }
template <class A, class T, unsigned N> void io(A &ar, llvm::SmallVector<T, N> &list) {
  ioList(ar, list);
}

} // namespace npucc

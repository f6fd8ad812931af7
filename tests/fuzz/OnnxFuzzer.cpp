//===- OnnxFuzzer.cpp - libFuzzer on loading, shapes and evaluation -----------===//
//
// docs/fuzzing.md says how to run it, and what becomes of a finding.
//
//===----------------------------------------------------------------------===//

#include "tests/fuzz/OnnxMutator.h"
#include "tests/fuzz/UseModel.h"

#include "runtime/tensor/TensorLimit.h"

#include <google/protobuf/stubs/logging.h>

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace npucc;
using namespace npucc::test;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

/// Small enough that what depends on data takes milliseconds, too.
constexpr int64_t kMaxTensorBytes = 1 << 15;

namespace {

/// A file in memory, whose path the loader can open.
class MemoryFile {
public:
  MemoryFile() : file(memfd_create("model.onnx", 0)) {
    if (file < 0)
      std::perror("memfd_create"), std::abort();
    name = "/proc/self/fd/" + std::to_string(file);
  }
  const std::string &write(const uint8_t *data, size_t size) {
    if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size))
      std::perror("model.onnx"), std::abort();
    return name;
  }

private:
  int file;
  std::string name;
};

bool parse(onnx::ModelProto &model, const uint8_t *data, size_t size) {
  google::protobuf::LogSilencer silence;
  return model.ParsePartialFromArray(data, static_cast<int>(size));
}

/// The bytes, where they fit; else 0.
size_t serialize(const onnx::ModelProto &model, uint8_t *data, size_t maxSize) {
  size_t size = model.ByteSizeLong();
  if (size > maxSize || !model.SerializePartialToArray(data, static_cast<int>(size)))
    return 0;
  return size;
}

uint64_t hash(const uint8_t *data, size_t size) {
  uint64_t value = 0xcbf29ce484222325; // FNV-1a: the same on any machine
  for (size_t i = 0; i < size; ++i)
    value = (value ^ data[i]) * 0x100000001b3;
  return value;
}

} // namespace

extern "C" const char *__asan_default_options() {
  // Short stacks of allocations and a small quarantine: a fifth more runs.
  return "allocator_may_return_null=1:detect_stack_use_after_return=0:malloc_context_size=4:"
         "quarantine_size_mb=32";
}

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
  setMaxTensorBytes(kMaxTensorBytes);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static MemoryFile file;
  Use use = useModel(file.write(data, size), hash(data, size));
  if (!use.defect.empty()) {
    std::fprintf(stderr, "defect: %s\n", use.defect.c_str());
    std::abort();
  }
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize,
                                          unsigned seed) {
  OnnxMutator mutator(seed);
  onnx::ModelProto model;
  // Damage to the bytes themselves is worth some of the time only.
  if (mutator.oneIn(50) || !parse(model, data, size))
    if (size && mutator.oneIn(2))
      return LLVMFuzzerMutate(data, size, maxSize);
  mutator.mutate(model);
  size_t written = serialize(model, data, maxSize);
  return written ? written : size;
}

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1,
                                            const uint8_t *data2, size_t size2, uint8_t *out,
                                            size_t maxSize, unsigned seed) {
  onnx::ModelProto model, other;
  if (!parse(model, data1, size1) || !parse(other, data2, size2))
    return 0;
  OnnxMutator(seed).crossOver(model, other);
  return serialize(model, out, maxSize);
}

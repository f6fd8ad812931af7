//===- LargeFile.h - A model with 10 GB of external data --------*- C++ -*-===//
#pragma once

#include "tests/runtime/onnx/ModelBuilder.h"

#include "llvm/Support/Process.h"

namespace npucc::test {

/// Ten layers of 2^30 bytes of weights each, in one file without blocks on the disk.
struct LargeModel : ModelBuilder {
  static constexpr int kLayers = 10;
  static constexpr int64_t kWidth = 16384, kLayerBytes = kWidth * kWidth * 4;

  /// false where the file system has no such files.
  bool write() {
    input("x", {1, kWidth});
    for (int layer = 0; layer < kLayers; ++layer) {
      std::string number = std::to_string(layer);
      onnx::TensorProto &weights =
          initializer("w" + number, ElementType::Float32, {kWidth, kWidth});
      weights.set_data_location(onnx::TensorProto::EXTERNAL);
      auto add = [&](const char *key, const std::string &value) {
        auto *entry = weights.add_external_data();
        entry->set_key(key);
        entry->set_value(value);
      };
      add("location", "weights.bin");
      add("offset", std::to_string(layer * kLayerBytes));
      add("length", std::to_string(kLayerBytes));
      node("MatMul", {layer ? "y" + std::to_string(layer - 1) : "x", "w" + number}, {"y" + number});
    }
    output("y" + std::to_string(kLayers - 1));
    writeFile(path(), model.SerializeAsString());
    int file = -1;
    if (llvm::sys::fs::openFileForWrite(folder.file("weights.bin"), file))
      return false;
    bool made = !llvm::sys::fs::resize_file(file, kLayers * kLayerBytes);
    llvm::sys::Process::SafelyCloseFileDescriptor(file);
    return made;
  }
};

} // namespace npucc::test

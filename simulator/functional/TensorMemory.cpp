//===- TensorMemory.cpp - Whole tensors in simulated DRAM -----------------===//

#include "simulator/functional/TensorMemory.h"

#include "simulator/functional/Copy.h"
#include "simulator/functional/Elements.h"

using namespace npucc;

namespace {

bool isNibble(ElementType type) { return bitWidth(type) == 4; }

/// The box of a whole tensor between its place in DRAM (source) and dense memory (target).
BoxCopy wholeTensor(const ProgramTensor &place) {
  BoxCopy box{Space::Dram, Space::Spm, place.address, 0, elementBytes(place.type), {}, {}, {}};
  box.count = place.shape;
  box.sourceStrides = place.strides;
  box.targetStrides.resize(place.shape.size());
  int64_t stride = box.elementBytes;
  for (size_t d = place.shape.size(); d-- > 0;) {
    box.targetStrides[d] = stride;
    stride *= place.shape[d];
  }
  return box;
}

void copy(BoxCopy box, bool toDram, uint8_t *dram, uint8_t *dense, int64_t denseBytes,
          const ProgramTensor &place) {
  if (toDram) {
    std::swap(box.source, box.target);
    std::swap(box.sourceStrides, box.targetStrides);
    std::swap(box.sourceSpace, box.targetSpace);
  }
  // The place was checked to be inside DRAM (validate); its end bounds the copy.
  int64_t end = place.address + elementBytes(place.type);
  for (size_t d = 0; d < place.shape.size(); ++d)
    end += (place.shape[d] - 1) * place.strides[d];
  MemoryView view{{dram, dense, nullptr}, {end, denseBytes, 0}};
  copyBox(std::move(box), view);
}

} // namespace

void npucc::writeTensor(const ProgramTensor &place, const Tensor &tensor, uint8_t *dram) {
  Tensor stored = tensor.type() == place.type ? tensor : castTensor(tensor, place.type);
  if (isNibble(place.type)) { // one element a byte in the NPU's memories
    std::vector<uint8_t> bytes(stored.size());
    for (int64_t i = 0; i < stored.size(); ++i)
      bytes[i] = static_cast<uint8_t>(stored.asInt(i) & 15);
    return copy(wholeTensor(place), true, dram, bytes.data(), bytes.size(), place);
  }
  copy(wholeTensor(place), true, dram, const_cast<uint8_t *>(stored.data()), stored.byteSize(),
       place);
}

Tensor npucc::readTensor(const ProgramTensor &place, const uint8_t *dram) {
  auto *memory = const_cast<uint8_t *>(dram); // read only
  Tensor result = Tensor::zeros(place.type, place.shape);
  if (result.size() == 0)
    return result;
  if (isNibble(place.type)) {
    std::vector<uint8_t> bytes(result.size());
    copy(wholeTensor(place), false, memory, bytes.data(), bytes.size(), place);
    for (size_t i = 0; i < bytes.size(); ++i)
      result.mutableData()[i / 2] |= (bytes[i] & 15) << (i % 2 * 4);
  } else {
    copy(wholeTensor(place), false, memory, result.mutableData(), result.byteSize(), place);
  }
  return result;
}

//===- Functional.cpp - What commands do to bytes -------------------------===//

#include "simulator/functional/Functional.h"

#include "runtime/onnx/Errors.h"
#include "runtime/reference/Reference.h"
#include "simulator/functional/Copy.h"
#include "simulator/functional/Elements.h"
#include "simulator/functional/Footprints.h"
#include "simulator/functional/Matrix.h"
#include "simulator/functional/Nest.h"
#include "simulator/functional/TensorMemory.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Errc.h"

#include <cstdlib>
#include <unistd.h>

using namespace npucc;

namespace {

llvm::Error failure(const llvm::Twine &why) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), why);
}

/// NaN as fp32, fp16 and bf16; -59 and -1 as int8.
constexpr uint16_t kPattern = 0xffc5;

struct Buffer {
  uint8_t *data = nullptr;
  int64_t bytes = 0;

  ~Buffer() { std::free(data); }
  bool allocate(int64_t wanted) {
    int64_t memory = int64_t(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
    if (wanted < 0 || wanted > memory)
      return false;
    int64_t rounded = (wanted + 63) / 64 * 64 + 64;
    data = static_cast<uint8_t *>(std::aligned_alloc(64, rounded));
    if (!data)
      return false;
    bytes = wanted;
    auto *words = reinterpret_cast<uint16_t *>(data);
    std::fill_n(words, rounded / 2, kPattern);
    return true;
  }
};

} // namespace

struct FunctionalMemory::Impl {
  const Program &program;
  Buffer spaces[3];
  MemoryView view;
  bool allocated = false;
  std::vector<Shape> shapes; ///< of tensors with a bound, by index: what they have now

  explicit Impl(const Program &program) : program(program), shapes(program.tensors.size()) {}
  /// The place of a tensor at its present shape, dense.
  ProgramTensor placeOf(size_t tensor) const;
  std::string write(size_t tensor, const Tensor &value);
  BoundOperand bound(const Operand &operand, const StreamState &state) const {
    return bind(operand, program, state, view);
  }
  std::string dma(const DmaCommand &command, const StreamState &state);
  std::string matrix(const MatrixCommand &command, const StreamState &state);
  std::string vector(const VectorCommand &command, const StreamState &state);
  std::string gather(const GatherCommand &command, const StreamState &state);
  std::string host(const HostCommand &command);
};

FunctionalMemory::FunctionalMemory(const Program &program, int64_t spmBytes, int64_t accBytes)
    : impl(std::make_unique<Impl>(program)) {
  const int64_t bytes[] = {program.dramBytes, spmBytes, accBytes};
  impl->allocated = true;
  for (int s = 0; s < 3; ++s) {
    impl->allocated &= impl->spaces[s].allocate(bytes[s]);
    impl->view.base[s] = impl->spaces[s].data;
    impl->view.bytes[s] = impl->spaces[s].bytes;
  }
}

FunctionalMemory::~FunctionalMemory() = default;

ProgramTensor FunctionalMemory::Impl::placeOf(size_t tensor) const {
  ProgramTensor place = program.tensors[tensor];
  if (!place.isBound)
    return place;
  place.shape = shapes[tensor];
  place.strides.assign(place.shape.size(), elementBytes(place.type));
  for (size_t d = place.shape.size(); d-- > 1;)
    place.strides[d - 1] = place.strides[d] * place.shape[d];
  return place;
}

std::string FunctionalMemory::Impl::write(size_t tensor, const Tensor &value) {
  const ProgramTensor &place = program.tensors[tensor];
  int64_t room = *checkedElementCount(place.shape);
  if (value.type() == ElementType::String ||
      (place.isBound ? value.size() > room : value.size() != room))
    return quoted(place.name) + " comes out with " + std::to_string(value.size()) +
           " elements, which " + (place.isBound ? "is more than there is room for, " : "is not ") +
           std::to_string(room);
  if (place.isBound)
    shapes[tensor] = Shape(value.shape().begin(), value.shape().end());
  if (value.size() > 0)
    writeTensor(placeOf(tensor), value, view.base[0]);
  return {};
}

llvm::Error FunctionalMemory::load(const std::map<std::string, Tensor> &inputs) {
  if (!impl->allocated)
    return llvm::createStringError(
        llvm::make_error_code(llvm::errc::not_enough_memory),
        "the simulated memories (" + llvm::Twine(impl->program.dramBytes) +
            " bytes of DRAM) do not fit in this computer's memory; use timing mode");
  std::vector<Tensor> cache;
  for (auto [index, place] : llvm::enumerate(impl->program.tensors)) {
    Tensor tensor;
    if (place.kind == ProgramTensor::Kind::Input) {
      auto it = inputs.find(place.name);
      if (it == inputs.end())
        return failure("input " + quoted(place.name) + " is missing");
      tensor = it->second;
      ElementType wanted =
          place.externalType == ElementType::Undefined ? place.type : place.externalType;
      if (tensor.type() != wanted && tensor.type() != place.type)
        return failure("input " + quoted(place.name) + " is " + llvm::Twine(name(tensor.type())) +
                       ", the program wants " + llvm::Twine(name(wanted)));
      if (!place.isBound && tensor.shape() != llvm::ArrayRef<int64_t>(place.shape))
        return failure("input " + quoted(place.name) + " has another shape than the program wants");
    } else if (place.kind == ProgramTensor::Kind::Constant) {
      llvm::Expected<Tensor> made = materialize(impl->program, place.recipe, cache);
      if (!made)
        return made.takeError();
      tensor = *made;
    } else {
      continue;
    }
    if (std::string why = impl->write(index, tensor); !why.empty())
      return failure(why);
  }
  return llvm::Error::success();
}

llvm::Expected<std::map<std::string, Tensor>> FunctionalMemory::outputs() const {
  std::map<std::string, Tensor> result;
  for (auto [index, place] : llvm::enumerate(impl->program.tensors)) {
    if (place.kind != ProgramTensor::Kind::Output)
      continue;
    Tensor tensor = readTensor(impl->placeOf(index), impl->view.base[0]);
    if (place.externalType != ElementType::Undefined && place.externalType != place.type)
      tensor = castTensor(tensor, place.externalType);
    result[place.name] = tensor;
  }
  return result;
}

llvm::Error FunctionalMemory::execute(const Command &command, const StreamState &state) {
  std::string why;
  const Program &p = impl->program;
  switch (command.kind) {
  case CommandKind::Dma:
    why = impl->dma(p.dma[command.index], state);
    break;
  case CommandKind::Matrix:
    why = impl->matrix(p.matrix[command.index], state);
    break;
  case CommandKind::Vector:
    why = impl->vector(p.vector[command.index], state);
    break;
  case CommandKind::Gather:
    why = impl->gather(p.gather[command.index], state);
    break;
  case CommandKind::Host:
    why = impl->host(p.host[command.index]);
    break;
  }
  if (why.empty())
    return llvm::Error::success();
  static const char *const kinds[] = {"dma", "matrix", "vector", "gather", "host"};
  std::string node = command.layer >= 0 ? p.layers[command.layer].node : "(no node)";
  // An operator on the control core, and an index that is gathered, may dislike the data.
  bool data = command.kind == CommandKind::Host || command.kind == CommandKind::Gather;
  return llvm::createStringError(data ? llvm::make_error_code(llvm::errc::invalid_argument)
                                      : llvm::inconvertibleErrorCode(),
                                 llvm::Twine(kinds[static_cast<size_t>(command.kind)]) +
                                     " command of node " + quoted(node) + ": " + why);
}

void FunctionalMemory::footprints(const Command &command, const StreamState &state,
                                  llvm::SmallVectorImpl<Footprint> &result) const {
  collectFootprints(impl->program, command, state, result);
}

std::string FunctionalMemory::Impl::dma(const DmaCommand &command, const StreamState &state) {
  DmaBox box;
  clippedBox(command.dims, state, box);
  BoxCopy copy{command.source.space,
               command.target.space,
               resolve(command.source, program, state),
               resolve(command.target, program, state),
               elementBytes(command.type),
               box.count,
               {},
               {}};
  for (size_t d = 0; d < command.dims.size(); ++d) {
    copy.source += box.first[d] * command.dims[d].sourceStride;
    copy.target += box.first[d] * command.dims[d].targetStride;
    copy.sourceStrides.push_back(command.dims[d].sourceStride);
    copy.targetStrides.push_back(command.dims[d].targetStride);
  }
  return copyBox(std::move(copy), view);
}

std::string FunctionalMemory::Impl::matrix(const MatrixCommand &command, const StreamState &state) {
  Nest nest;
  clippedExtents(command.dims, state, nest.extents);
  if (llvm::is_contained(nest.extents, 0))
    return {};
  std::string why =
      contract(command, nest.extents, bound(command.a, state), bound(command.b, state),
               bound(command.accumulator, state), holds(command.clearIf, state));
  if (!why.empty() || !command.hasEpilogue || !holds(command.epilogueIf, state))
    return why;
  for (size_t d = 0; d < command.dims.size(); ++d) {
    if (command.dims[d].reduction)
      nest.extents[d] = 1;
    nest.reduction.push_back(false);
    nest.indexStarts.push_back(evaluate(command.dims[d].start, state));
  }
  nest.inputs.push_back(bound(command.accumulator, state));
  for (const Operand &operand : command.epilogueInputs)
    nest.inputs.push_back(bound(operand, state));
  nest.outputs.push_back(bound(command.out, state));
  return runNest(nest, command.epilogue);
}

std::string FunctionalMemory::Impl::vector(const VectorCommand &command, const StreamState &state) {
  Nest nest;
  clippedExtents(command.dims, state, nest.extents);
  if (llvm::is_contained(nest.extents, 0))
    return {};
  for (const LoopDim &dim : command.dims) {
    nest.reduction.push_back(dim.reduction);
    nest.indexStarts.push_back(evaluate(dim.start, state));
  }
  for (const Operand &operand : command.inputs)
    nest.inputs.push_back(bound(operand, state));
  for (const Operand &operand : command.outputs)
    nest.outputs.push_back(bound(operand, state));
  nest.initial = command.initial;
  nest.useInitial = !command.initial.empty() && holds(command.clearIf, state);
  return runNest(nest, command.body);
}

std::string FunctionalMemory::Impl::gather(const GatherCommand &command, const StreamState &state) {
  llvm::SmallVector<int64_t, 8> extents;
  clippedExtents(command.indexDims, state, extents);
  if (llvm::is_contained(extents, 0))
    return {};
  BoundOperand indices = bound(command.indices, state);
  std::string why;
  if (!checkRange(indices, extents, why))
    return why;
  if (indices.checked)
    return "indices lie outside their memory";
  DmaBox box;
  clippedBox(command.row, state, box);
  BoxCopy copy{command.source.space,
               command.target.space,
               resolve(command.source, program, state),
               resolve(command.target, program, state),
               elementBytes(command.type),
               box.count,
               {},
               {}};
  for (size_t d = 0; d < command.row.size(); ++d) {
    copy.source += box.first[d] * command.row[d].sourceStride;
    copy.target += box.first[d] * command.row[d].targetStride;
    copy.sourceStrides.push_back(command.row[d].sourceStride);
    copy.targetStrides.push_back(command.row[d].targetStride);
  }
  llvm::SmallVector<int64_t, 4> at(extents.size(), 0);
  while (true) {
    int64_t from = indices.offset, to = copy.target, index = 0;
    for (size_t d = 0; d < at.size(); ++d) {
      from += at[d] * indices.strides[d];
      to += at[d] * command.targetIndexStrides[d];
    }
    accessOf(indices.type).loadInts(indices.memory + from, 0, 1, &index);
    int64_t row = index < 0 ? index + command.axisSize : index;
    if (row < 0 || row >= command.axisSize)
      return "index " + std::to_string(index) + " is outside an axis of " +
             std::to_string(command.axisSize);
    BoxCopy one = copy;
    one.source += row * command.axisStride;
    one.target = to;
    why = copyBox(std::move(one), view);
    if (!why.empty())
      return why;
    size_t d = at.size();
    for (; d-- > 0;) {
      if (++at[d] < extents[d])
        break;
      at[d] = 0;
    }
    if (d == size_t(-1))
      return {};
  }
}

std::string FunctionalMemory::Impl::host(const HostCommand &command) {
  const Node &node = program.hostNodes[command.node];
  std::vector<Tensor> inputs;
  for (auto [i, t] : llvm::enumerate(command.inputs)) {
    inputs.push_back(t < 0 ? Tensor() : readTensor(placeOf(t), view.base[0]));
    ElementType type = i < command.inputTypes.size() ? command.inputTypes[i] : ElementType();
    if (isFloat(type) && inputs.back().defined() && inputs.back().type() != type)
      inputs.back() = castTensor(inputs.back(), type);
  }
  llvm::Expected<Tensors> made = evaluateNode(node, inputs);
  if (!made)
    return llvm::toString(made.takeError());
  for (size_t o = 0; o < command.outputs.size(); ++o) {
    if (command.outputs[o] < 0)
      continue;
    if (o >= made->size() || !(*made)[o].defined())
      return "the operator did not make output " + std::to_string(o);
    if (std::string why = write(command.outputs[o], (*made)[o]); !why.empty())
      return why;
  }
  return {};
}

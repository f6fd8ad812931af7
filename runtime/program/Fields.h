//===- Fields.h - The records of a .npu file --------------------*- C++ -*-===//
//
// Which fields a record has in the file, in order. Adding or reordering one changes
// Program::kVersion.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/program/Archive.h"
#include "runtime/program/Program.h"

namespace npucc {

/// Graphs inside attributes of control-flow nodes.
constexpr int kMaxGraphDepth = 16;

template <class A> void io(A &ar, Tensor &tensor) {
  ElementType type = tensor.type();
  io(ar, type);
  if (type == ElementType::Undefined)
    return;
  Shape shape(tensor.shape().begin(), tensor.shape().end());
  io(ar, shape);
  if (type == ElementType::String) {
    std::vector<std::string> text;
    if constexpr (!A::isReader)
      text = tensor.stringValues();
    io(ar, text);
    if constexpr (A::isReader) {
      auto count = checkedElementCount(shape);
      if (!count || static_cast<uint64_t>(*count) != text.size())
        return ar.fail("a string tensor's shape and its strings disagree");
      tensor = Tensor::strings(shape, std::move(text));
    }
    return;
  }
  uint64_t offset = 0;
  if constexpr (A::isReader) {
    io(ar, offset);
    auto count = checkedElementCount(shape);
    if (ar.failed())
      return;
    if (!count || *count > (int64_t(1) << 48))
      return ar.fail("a tensor has an impossible shape");
    uint64_t size = (static_cast<uint64_t>(*count) * bitWidth(type) + 7) / 8;
    if (offset > ar.blob.size() || size > ar.blob.size() - offset || offset % kBlobAlignment)
      return ar.fail("a tensor's bytes lie outside the file");
    tensor = Tensor::view(type, shape, ar.blob.data() + offset, ar.owner);
  } else {
    offset = ar.addBlob(tensor);
    io(ar, offset);
  }
}

template <class A> void fields(A &ar, Dim &dim) {
  io(ar, dim.size);
  io(ar, dim.symbol);
}

template <class A> void fields(A &ar, Value &value) {
  io(ar, value.name);
  io(ar, value.type);
  bool ranked = value.dims.has_value();
  io(ar, ranked);
  if (!ranked)
    return;
  if constexpr (A::isReader)
    value.dims.emplace();
  io(ar, *value.dims);
}

template <class A> void fields(A &ar, Node &node);
template <class A> void fields(A &ar, std::pair<ValueId, ValueId> &pair) {
  io(ar, pair.first);
  io(ar, pair.second);
}

template <class A> void fields(A &ar, Graph &graph) {
  io(ar, graph.name);
  io(ar, graph.values);
  io(ar, graph.nodes);
  io(ar, graph.inputs);
  io(ar, graph.outputs);
  uint64_t size = graph.constants.size();
  io(ar, size);
  if constexpr (A::isReader) {
    for (uint64_t i = 0; i < size && !ar.failed(); ++i) {
      ValueId id = 0;
      io(ar, id);
      io(ar, graph.constants[id]);
    }
  } else {
    for (auto &[id, tensor] : graph.constants) {
      ValueId copy = id;
      io(ar, copy);
      io(ar, tensor);
    }
  }
  io(ar, graph.captures);
  if constexpr (A::isReader) {
    // Everything that runs a graph indexes `values` without looking again.
    auto known = [&](ValueId id) { return id >= 0 && size_t(id) < graph.values.size(); };
    bool good = true;
    for (ValueId id : graph.inputs)
      good &= known(id);
    for (ValueId id : graph.outputs)
      good &= known(id);
    for (auto &entry : graph.constants)
      good &= known(entry.first);
    for (auto &entry : graph.captures)
      good &= known(entry.first);
    for (const Node &node : graph.nodes) {
      for (ValueId id : node.inputs)
        good &= id == kNoValue || known(id);
      for (ValueId id : node.outputs)
        good &= id == kNoValue || known(id);
    }
    if (!good)
      ar.fail("a subgraph names a value that it does not have");
  }
}

template <class A> void io(A &ar, std::shared_ptr<Graph> &graph) {
  if constexpr (A::isReader) {
    if (++ar.depth > kMaxGraphDepth)
      return ar.fail("subgraphs are nested too deeply");
    graph = std::make_shared<Graph>();
    fields(ar, *graph);
    --ar.depth;
  } else {
    Graph empty;
    fields(ar, graph ? *graph : empty);
  }
}

/// Reads alternative number `index` of the variant, counting from I.
template <class A, class V, size_t I = 0> void ioAlternative(A &ar, V &value, size_t index) {
  if constexpr (I < std::variant_size_v<V>) {
    if (index != I)
      return ioAlternative<A, V, I + 1>(ar, value, index);
    if constexpr (A::isReader)
      value.template emplace<I>();
    io(ar, std::get<I>(value));
  }
}

template <class A> void fields(A &ar, Attribute &attribute) {
  using V = decltype(attribute.value);
  auto index = static_cast<uint8_t>(attribute.value.index());
  io(ar, index);
  if (index >= std::variant_size_v<V>)
    return ar.fail("unknown kind of attribute");
  ioAlternative<A, V>(ar, attribute.value, index);
}

template <class A> void fields(A &ar, Node &node) {
  io(ar, node.name);
  io(ar, node.opType);
  io(ar, node.domain);
  io(ar, node.inputs);
  io(ar, node.outputs);
  uint64_t size = node.attributes.size();
  io(ar, size);
  if constexpr (A::isReader) {
    for (uint64_t i = 0; i < size && !ar.failed(); ++i) {
      std::string key;
      io(ar, key);
      io(ar, node.attributes[key]);
    }
  } else {
    for (auto &[key, attribute] : node.attributes) {
      std::string copy = key;
      io(ar, copy);
      io(ar, attribute);
    }
  }
}

template <class A> void fields(A &ar, Affine::Term &term) {
  io(ar, term.loop);
  io(ar, term.coefficient);
}
template <class A> void fields(A &ar, Affine &affine) {
  io(ar, affine.constant);
  io(ar, affine.terms);
}
template <class A> void fields(A &ar, Address &address) {
  ioEnum(ar, address.space, Space::Acc);
  io(ar, address.ring);
  io(ar, address.offset);
}
template <class A> void fields(A &ar, LoopDim &dim) {
  io(ar, dim.extent);
  io(ar, dim.reduction);
  ioEnum(ar, dim.role, LoopRole::Other);
  io(ar, dim.clipped);
  io(ar, dim.bound);
  io(ar, dim.start);
}
template <class A> void fields(A &ar, Guard &guard) {
  io(ar, guard.start);
  io(ar, guard.coefficients);
  io(ar, guard.bound);
}
template <class A> void fields(A &ar, Operand &operand) {
  io(ar, operand.address);
  io(ar, operand.type);
  io(ar, operand.strides);
  io(ar, operand.guards);
  io(ar, operand.fill);
}
template <class A> void fields(A &ar, BodyInst &inst) {
  ioEnum(ar, inst.op, BodyOp::Lookup);
  io(ar, inst.isFloat);
  io(ar, inst.wrap);
  io(ar, inst.a);
  io(ar, inst.b);
  io(ar, inst.c);
  io(ar, inst.imm);
}
template <class A> void fields(A &ar, Body &body) {
  io(ar, body.insts);
  io(ar, body.yields);
  io(ar, body.zeros);
}
template <class A> void fields(A &ar, Condition &condition) {
  io(ar, condition.always);
  io(ar, condition.value);
  io(ar, condition.equals);
}
template <class A> void fields(A &ar, DmaCommand::Dim &dim) {
  io(ar, dim.extent);
  io(ar, dim.sourceStride);
  io(ar, dim.targetStride);
  io(ar, dim.clipped);
  io(ar, dim.bound);
  io(ar, dim.step);
  io(ar, dim.start);
}
template <class A> void fields(A &ar, DmaCommand &command) {
  io(ar, command.source);
  io(ar, command.target);
  io(ar, command.type);
  io(ar, command.dims);
}
template <class A> void fields(A &ar, MatrixCommand &command) {
  io(ar, command.dims);
  io(ar, command.a);
  io(ar, command.b);
  io(ar, command.aZero);
  io(ar, command.bZero);
  io(ar, command.accumulator);
  io(ar, command.clearIf);
  io(ar, command.hasEpilogue);
  io(ar, command.epilogueIf);
  io(ar, command.epilogueInputs);
  io(ar, command.out);
  io(ar, command.epilogue);
}
template <class A> void fields(A &ar, VectorCommand &command) {
  io(ar, command.dims);
  io(ar, command.inputs);
  io(ar, command.outputs);
  io(ar, command.initial);
  io(ar, command.clearIf);
  io(ar, command.body);
}
template <class A> void fields(A &ar, GatherCommand &command) {
  io(ar, command.indices);
  io(ar, command.indexDims);
  io(ar, command.axisSize);
  io(ar, command.source);
  io(ar, command.target);
  io(ar, command.axisStride);
  io(ar, command.targetIndexStrides);
  io(ar, command.type);
  io(ar, command.row);
}
template <class A> void fields(A &ar, HostCommand &command) {
  io(ar, command.node);
  io(ar, command.inputs);
  io(ar, command.outputs);
  io(ar, command.inputTypes);
}
template <class A> void fields(A &ar, Command &command) {
  ioEnum(ar, command.kind, CommandKind::Host);
  io(ar, command.layer);
  io(ar, command.index);
}
template <class A> void fields(A &ar, Instruction &instruction) {
  ioEnum(ar, instruction.kind, Instruction::Kind::Advance);
  io(ar, instruction.index);
  io(ar, instruction.redundant);
}
template <class A> void fields(A &ar, Stream &stream) {
  ioEnum(ar, stream.engine, EngineKind::Control);
  io(ar, stream.channel);
  io(ar, stream.code);
}
template <class A> void fields(A &ar, Loop &loop) { io(ar, loop.trips); }
template <class A> void fields(A &ar, Ring &ring) {
  io(ar, ring.slots);
  io(ar, ring.slotBytes);
}
template <class A> void fields(A &ar, Semaphore &semaphore) { io(ar, semaphore.initial); }
template <class A> void fields(A &ar, Recipe &recipe) {
  io(ar, recipe.data);
  io(ar, recipe.node);
  io(ar, recipe.output);
}
template <class A> void fields(A &ar, ProgramTensor &tensor) {
  ioEnum(ar, tensor.kind, ProgramTensor::Kind::Intermediate);
  io(ar, tensor.name);
  io(ar, tensor.type);
  io(ar, tensor.shape);
  io(ar, tensor.isBound);
  io(ar, tensor.strides);
  io(ar, tensor.address);
  io(ar, tensor.bytes);
  io(ar, tensor.recipe);
  io(ar, tensor.externalType);
}
template <class A> void fields(A &ar, Layer &layer) {
  io(ar, layer.node);
  io(ar, layer.op);
  io(ar, layer.macs);
  io(ar, layer.host);
  io(ar, layer.foldedInto);
  io(ar, layer.weightBytes);
}

} // namespace npucc

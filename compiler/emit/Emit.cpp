//===- Emit.cpp - From npu ops to a program ---------------------------------===//

#include "compiler/emit/ProgramEmitter.h"

#include "compiler/onnx/OnnxDialect.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace npucc;
using namespace npucc::emission;

std::vector<Instruction> &ProgramEmitter::stream(npu::StreamKind kind, int64_t channel) {
  for (Stream &s : program.streams)
    if (int(s.engine) == int(kind) && s.channel == channel)
      return s.code;
  program.streams.emplace_back();
  program.streams.back().engine = npucc::EngineKind(int(kind));
  program.streams.back().channel = channel;
  return program.streams.back().code;
}

LogicalResult ProgramEmitter::block(Block &body) {
  for (Operation &op : body) {
    auto loop = dyn_cast<scf::ForOp>(op);
    if (!loop) {
      if (failed(command(op)))
        return failure();
      continue;
    }
    int32_t id = program.loops.size();
    std::optional<APInt> trips = loop.getStaticTripCount();
    if (!trips)
      return loop.emitError("has no static trip count");
    program.loops.push_back({trips->getSExtValue()});
    loops[loop.getInductionVar()] = id;
    // Every stream gets the loop; those without work in it drop it again.
    std::vector<size_t> begins;
    for (Stream &s : program.streams) {
      begins.push_back(s.code.size());
      s.code.push_back({Instruction::Kind::LoopBegin, id, false});
    }
    size_t known = program.streams.size();
    if (failed(block(*loop.getBody())))
      return failure();
    for (size_t i = 0; i < program.streams.size(); ++i) {
      Stream &s = program.streams[i];
      if (i >= known)
        return loop.emitError("uses an engine that was not declared");
      if (s.code.size() == begins[i] + 1)
        s.code.pop_back();
      else
        s.code.push_back({Instruction::Kind::LoopEnd, id, false});
    }
  }
  return success();
}

LogicalResult ProgramEmitter::run() {
  auto module = function->getParentOfType<ModuleOp>();
  if (auto list = module->getAttrOfType<ArrayAttr>(onnx::kLayersAttr))
    for (Attribute entry : list) {
      auto dict = cast<DictionaryAttr>(entry);
      Layer layer;
      layer.node = dict.getAs<StringAttr>("node").str();
      layer.op = dict.getAs<StringAttr>("op").str();
      if (auto macs = dict.getAs<IntegerAttr>("macs"))
        layer.macs = macs.getInt();
      layers[layer.node] = program.layers.size();
      program.layers.push_back(layer);
    }
  program.machineName = machine.name;
  program.machineYaml = machine.text;
  for (int64_t c = 0; c < machine.dma.loadChannels; ++c)
    stream(npu::StreamKind::Load, c);
  for (int64_t c = 0; c < machine.dma.storeChannels; ++c)
    stream(npu::StreamKind::Store, c);
  for (auto kind : {npu::StreamKind::Matrix, npu::StreamKind::Vector, npu::StreamKind::Control})
    stream(kind, 0);
  if (auto counts = function->getAttrOfType<DenseI64ArrayAttr>("npu.semaphores"))
    for (int64_t count : counts.asArrayRef())
      program.semaphores.push_back({count});
  for (Operation &op : function.getBody().front())
    if (failed(declare(op)))
      return failure();
  if (failed(block(function.getBody().front())))
    return failure();
  for (const Command &command : program.commands)
    if (command.layer >= 0)
      program.layers[command.layer].foldedInto = -1;
  for (const auto &[tensor, by] : readers)
    if (by.size() == 1 && *by.begin() >= 0)
      program.layers[*by.begin()].weightBytes += program.tensors[tensor].bytes;
  auto number = [&](StringRef name) -> int64_t {
    auto attr = function->getAttrOfType<IntegerAttr>(name);
    return attr ? attr.getInt() : 0;
  };
  program.spmBytes = number("npu.spm_bytes");
  program.accBytes = number("npu.acc_bytes");
  if (auto cycles = function->getAttrOfType<FloatAttr>("npu.estimated_cycles"))
    program.estimatedCycles = cycles.getValueAsDouble();
  return success();
}

FailureOr<Program> npucc::emitProgram(ModuleOp module, const Machine &machine) {
  auto function = module.lookupSymbol<func::FuncOp>("main");
  if (!function)
    return module.emitError("has no function 'main'"), failure();
  ProgramEmitter emitter(function, machine);
  if (failed(emitter.run()))
    return failure();
  return std::move(emitter.program);
}

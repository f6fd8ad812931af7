//===- Driver.cpp - npucc from the options to the exit status -----------------===//

#include "compiler/driver/Driver.h"
#include "compiler/driver/Compiler.h"
#include "compiler/driver/Diagnostics.h"
#include "compiler/driver/Layers.h"
#include "compiler/driver/Phases.h"
#include "compiler/driver/Prepare.h"
#include "compiler/driver/Registration.h"
#include "compiler/driver/Results.h"
#include "compiler/import/Import.h"
#include "models/machine/Machine.h"
#include "simulator/core/Simulator.h"

#include "mlir/IR/AsmState.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/raw_ostream.h"

#include <exception>

using namespace mlir;

namespace npucc {
namespace {

ExitStatus badUsage(llvm::Error error) {
  llvm::errs() << "npucc: error: " << llvm::toString(std::move(error)) << '\n';
  return kBadUsage;
}

/// One run of the tool: each step sets what the next ones need.
class Run {
public:
  explicit Run(const Options &options)
      : options(options), phases(options.verbose), context(MLIRContext::Threading::DISABLED) {}

  ExitStatus operator()();

private:
  ExitStatus load();
  ExitStatus compileModel();
  ExitStatus failed();
  ExitStatus write(llvm::function_ref<void(llvm::raw_ostream &)> print);
  ExitStatus writeModule();
  ExitStatus writeProgramFile();
  ExitStatus simulateProgram();

  const Options &options;
  Phases phases;
  Machine machine;
  PreparedModel prepared;
  MLIRContext context;
  std::optional<ModelDiagnostics> diagnostics;
  OwningOpRef<ModuleOp> module;
  Program program;
  double compileSeconds = 0;
};

ExitStatus Run::load() {
  llvm::Expected<Machine> loadedMachine = loadMachine(options.npu);
  if (!loadedMachine)
    return badUsage(loadedMachine.takeError());
  machine = std::move(*loadedMachine);

  llvm::Expected<Model> model = loadModel(options.model);
  if (!model)
    return badUsage(model.takeError());
  phases.finish("load");
  // All of them at once, before shape inference stumbles over the first.
  std::vector<const Node *> unknown = unknownNodes(model->graph);
  if (!unknown.empty()) {
    ModelDiagnostics list(context, *model);
    for (const Node *node : unknown)
      list.unsupported(*node, node->domain.empty()
                                  ? "unknown operator"
                                  : "unknown operator of domain '" + node->domain + "'");
    return kUnsupported;
  }
  llvm::Expected<PreparedModel> ready = prepareModel(std::move(*model), options);
  if (!ready)
    return badUsage(ready.takeError());
  prepared = std::move(*ready);
  diagnostics.emplace(context, prepared.model);
  phases.finish("prepare");
  return kDone;
}

/// What failed: the model's wishes, or we.
ExitStatus Run::failed() {
  if (diagnostics->internalCount() == 0 && diagnostics->unsupportedCount() > 0)
    return kUnsupported;
  llvm::errs() << "npucc: internal error: " << options.model << " cannot be compiled\n";
  return kInternalError;
}

ExitStatus Run::compileModel() {
  DialectRegistry registry;
  registerDialects(registry);
  context.appendDialectRegistry(registry);
  module = importGraph(prepared.model, context);
  if (!module)
    return failed();
  restoreLayers(*module, prepared.network, prepared.model.graph);
  phases.finish("import");

  DefaultTimingManager timing;
  applyDefaultTimingManagerCLOptions(timing);
  TimingScope scope = timing.getRootScope();
  CompileOptions settings;
  settings.storage = prepared.storage;
  settings.allowHost = !options.noHost;
  settings.precision = prepared.precision;
  settings.timing = &scope;
  if (options.emit == EmitPhase::Onnx)
    return kDone;
  if (mlir::failed(lowerToLinalg(*module, settings)))
    return failed();
  phases.finish("lower");
  if (options.emit == EmitPhase::Linalg)
    return kDone;
  if (mlir::failed(lowerToNpu(*module, machine, settings)))
    return failed();
  phases.finish("schedule");
  if (options.emit == EmitPhase::Npu)
    return kDone;
  FailureOr<Program> emitted = emit(*module, machine, settings);
  if (mlir::failed(emitted))
    return failed();
  program = std::move(*emitted);
  program.modelName = llvm::sys::path::filename(options.model).str();
  program.modelSha256 = prepared.model.sha256;
  program.machineName = machine.name;
  program.machineYaml = machine.text;
  program.batch = prepared.batch;
  program.parameters = prepared.parameters;
  program.macs = prepared.macs;
  llvm::append_range(program.assumptions, prepared.assumptions);
  phases.finish("emit");
  return kDone;
}

ExitStatus Run::write(llvm::function_ref<void(llvm::raw_ostream &)> print) {
  std::error_code error;
  llvm::ToolOutputFile file(options.output.empty() ? "-" : options.output, error,
                            llvm::sys::fs::OF_None);
  if (error)
    return badUsage(llvm::createStringError(error, "cannot write '%s': %s", options.output.c_str(),
                                            error.message().c_str()));
  print(file.os());
  file.keep();
  return kDone;
}

ExitStatus Run::writeModule() {
  return write([&](llvm::raw_ostream &out) {
    // With the locations, since they carry the node names, so that npu-opt can go on from here;
    // without the weights, unless an option of the printer asks for them.
    OpPrintingFlags flags;
    flags.enableDebugInfo(true);
    if (!flags.getLargeResourceStringLimit())
      flags.elideLargeResourceString(64);
    module->print(out, flags);
    out << '\n';
  });
}

ExitStatus Run::writeProgramFile() {
  std::string path = options.output;
  if (path.empty())
    path = llvm::sys::path::stem(options.model).str() + ".npu";
  if (llvm::Error error = writeProgram(program, path))
    return badUsage(std::move(error));
  return kDone;
}

ExitStatus Run::simulateProgram() {
  SimulationOptions settings;
  settings.functional = options.functional;
  settings.checkHazards = options.checkHazards;
  settings.residentWeights = options.residentWeights;
  settings.recordTrace = !options.trace.empty();
  ProgressBar bar("simulate", !options.quiet);
  settings.progress = [&](double fraction) { bar.show(fraction); };
  llvm::Expected<SimulationResult> result = simulate(program, machine, prepared.inputs, settings);
  bar.clear();
  if (!result) {
    // The program came from our own compiler: a deadlock or a wrong address is our fault. Data
    // can be at fault, too (an index out of range), and the message says so.
    llvm::errs() << "npucc: error: " << llvm::toString(result.takeError()) << '\n';
    return kInternalError;
  }
  double simulateSeconds = phases.finish("simulate");
  for (const Hazard &hazard : result->hazards)
    llvm::errs() << "npucc: hazard: " << hazard.text << '\n';

  std::optional<VerifyResult> verification;
  if (options.verify) {
    llvm::Expected<VerifyResult> compared = verifyOutputs(prepared, result->outputs);
    if (!compared)
      return badUsage(compared.takeError());
    verification = *compared;
    phases.finish("verify");
  }
  if (!options.outputDir.empty())
    if (llvm::Error error = writeOutputs(options.outputDir, result->outputs))
      return badUsage(std::move(error));

  ReportInputs inputs{options.model,
                      program,
                      machine,
                      *result,
                      options.functional ? "functional" : "timing",
                      options.residentWeights ? "resident" : "cold",
                      /*assumptions=*/{},
                      verification,
                      {compileSeconds, simulateSeconds, peakResidentBytes()}};
  if (llvm::Error error = report(options, prepared, inputs))
    return badUsage(std::move(error));
  phases.finish("report");
  if (!result->hazards.empty())
    return kInternalError;
  return verification && !verification->passed ? kVerifyFailed : kDone;
}

ExitStatus Run::operator()() {
  if (ExitStatus status = load())
    return status;
  ExitStatus status = compileModel();
  compileSeconds = phases.total();
  if (status)
    return status;
  switch (options.emit) {
  case EmitPhase::None:
    return simulateProgram();
  case EmitPhase::Onnx:
  case EmitPhase::Linalg:
  case EmitPhase::Npu:
    return writeModule();
  case EmitPhase::Asm:
    return write([&](llvm::raw_ostream &out) { out << disassemble(program); });
  case EmitPhase::Program:
    return writeProgramFile();
  }
  return kInternalError;
}

} // namespace

ExitStatus runNpucc(const Options &options) {
  // Nothing is meant to throw as far as here; memory can run out.
  try {
    return Run(options)();
  } catch (const std::exception &error) {
    llvm::errs() << "npucc: internal error: " << error.what() << '\n';
    return kInternalError;
  }
}

ExitStatus listMachinesTo(llvm::raw_ostream &out) {
  for (const std::string &name : listMachines())
    out << name << '\n';
  return kDone;
}

ExitStatus dumpMachineTo(llvm::raw_ostream &out, const std::string &npu) {
  llvm::Expected<Machine> machine = loadMachine(npu);
  if (!machine)
    return badUsage(machine.takeError());
  out << dumpMachine(*machine);
  return kDone;
}

} // namespace npucc

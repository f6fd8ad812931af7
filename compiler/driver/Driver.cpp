//===- Driver.cpp - npucc from the options to the exit status -----------------===//

#include "compiler/driver/Driver.h"
#include "compiler/driver/Compiler.h"
#include "compiler/driver/Diagnostics.h"
#include "compiler/driver/Layers.h"
#include "compiler/driver/Phases.h"
#include "compiler/driver/Prepare.h"
#include "compiler/driver/Quantization.h"
#include "compiler/driver/Registration.h"
#include "compiler/driver/Results.h"
#include "compiler/driver/Steps.h"
#include "compiler/import/Import.h"
#include "models/machine/Machine.h"
#include "models/zoo/Zoo.h"
#include "runtime/onnx/Writer.h"
#include "simulator/core/Simulator.h"
#include "simulator/report/Format.h"

#include "mlir/IR/AsmState.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
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

/// What is added up over the steps of a run.
struct Totals {
  std::optional<VerifyResult> verification;
  bool hazards = false;
  double latencyS = 0, energyJ = 0;
  ToolTimes tool;
};

/// One compilation and simulation: each member function sets what the next ones need.
class Run {
public:
  Run(const Options &options, const Machine &machine, Phases &phases, Totals &totals)
      : options(options), machine(machine), phases(phases), totals(totals),
        context(MLIRContext::Threading::DISABLED) {}

  ExitStatus build(Model model, const NamedTensors &given);
  ExitStatus writePhase();
  ExitStatus simulateProgram();
  ExitStatus finish(std::vector<std::string> assumptions);

  NamedTensors takeInputs() { return std::move(prepared.inputs); }
  const NamedTensors &outputs() const { return result.outputs; }

private:
  ExitStatus compileModel();
  ExitStatus failed();
  ExitStatus write(llvm::function_ref<void(llvm::raw_ostream &)> print);
  ExitStatus writeModule();
  ExitStatus writeProgramFile();
  ExitStatus writeOnnxFile();

  const Options &options;
  const Machine &machine;
  Phases &phases;
  Totals &totals;
  PreparedModel prepared;
  MLIRContext context;
  std::optional<ModelDiagnostics> diagnostics;
  OwningOpRef<ModuleOp> module;
  Program program;
  SimulationResult result;
};

ExitStatus Run::build(Model model, const NamedTensors &given) {
  double before = totals.tool.compileCpuS > 0 ? phases.total() : 0; // loading belongs to the first
  llvm::Expected<PreparedModel> ready = prepareModel(std::move(model), options, given);
  if (!ready)
    return badUsage(ready.takeError());
  prepared = std::move(*ready);
  diagnostics.emplace(context, prepared.model);
  phases.finish("prepare");
  if (options.writesOnnxFile())
    return kDone;
  ExitStatus status = compileModel();
  totals.tool.compileCpuS += phases.total() - before;
  return status;
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

ExitStatus Run::writeOnnxFile() {
  if (llvm::Error error = writeModel(prepared.model, options.output))
    return badUsage(std::move(error));
  return kDone;
}

ExitStatus Run::simulateProgram() {
  if (options.residentWeights) {
    int64_t bytes = 0;
    for (const ProgramTensor &tensor : program.tensors)
      if (tensor.kind == ProgramTensor::Kind::Constant)
        bytes += tensor.bytes;
    if (bytes > machine.scratchpad.bytes)
      return badUsage(
          llvm::createStringError("--weights resident: %lld bytes of weights do not fit the "
                                  "scratchpad of '%s', %lld bytes; "
                                  "use --weights cold or a machine with a larger scratchpad",
                                  static_cast<long long>(bytes), machine.name.c_str(),
                                  static_cast<long long>(machine.scratchpad.bytes)));
  }
  SimulationOptions settings;
  settings.functional = options.functional;
  settings.checkHazards = options.checkHazards;
  settings.residentWeights = options.residentWeights;
  settings.recordTrace = !options.trace.empty();
  ProgressBar bar("simulate", !options.quiet);
  settings.progress = [&](double fraction) { bar.show(fraction); };
  llvm::Expected<SimulationResult> simulated =
      simulate(program, machine, prepared.inputs, settings);
  bar.clear();
  if (!simulated) {
    // The program came from our own compiler: a deadlock or a wrong address is our fault. Data
    // can be at fault, too (an index out of range), and the message says so.
    std::error_code code;
    std::string text;
    llvm::handleAllErrors(simulated.takeError(), [&](const llvm::ErrorInfoBase &error) {
      code = error.convertToErrorCode();
      text = error.message();
    });
    llvm::errs() << "npucc: error: " << options.model << ": " << text << '\n';
    return code == std::errc::not_enough_memory  ? kUnsupported
           : code == std::errc::invalid_argument ? kBadUsage
                                                 : kInternalError;
  }
  result = std::move(*simulated);
  if (options.functional)
    result.outputs.insert(prepared.emptyOutputs.begin(), prepared.emptyOutputs.end());
  totals.tool.simulateCpuS += phases.finish("simulate");
  for (const Hazard &hazard : result.hazards)
    llvm::errs() << "npucc: hazard: " << hazard.text << '\n';
  totals.hazards |= !result.hazards.empty();
  double seconds = static_cast<double>(result.cycles) / machine.clockHz;
  totals.latencyS += seconds;
  totals.energyJ += EnergyModel(machine).total(result.actions, seconds).total().value;

  if (options.verify) {
    llvm::Expected<VerifyResult> compared = verifyOutputs(prepared, result.outputs);
    if (!compared)
      return badUsage(compared.takeError());
    if (const auto &before = totals.verification) {
      compared->maxAbsError = std::max(compared->maxAbsError, before->maxAbsError);
      compared->maxRelError = std::max(compared->maxRelError, before->maxRelError);
      compared->passed &= before->passed;
    }
    totals.verification = *compared;
    phases.finish("verify");
  }
  return kDone;
}

ExitStatus Run::finish(std::vector<std::string> assumptions) {
  if (!options.outputDir.empty())
    if (llvm::Error error = writeOutputs(options.outputDir, result.outputs))
      return badUsage(std::move(error));

  if (prepared.quantization && options.functional) {
    if (llvm::Error error = measureSnr(prepared))
      return badUsage(std::move(error));
    phases.finish("snr");
  }
  totals.tool.peakRssBytes = peakResidentBytes();
  ReportInputs inputs{options.model,
                      program,
                      machine,
                      result,
                      options.functional ? "functional" : "timing",
                      options.residentWeights ? "resident" : "cold",
                      std::move(assumptions),
                      totals.verification,
                      totals.tool,
                      prepared.quantization};
  if (llvm::Error error = report(options, prepared, inputs))
    return badUsage(std::move(error));
  phases.finish("report");
  if (totals.hazards)
    return kInternalError;
  return totals.verification && !totals.verification->passed ? kVerifyFailed : kDone;
}

ExitStatus Run::writePhase() {
  switch (options.emit) {
  case EmitPhase::None:
    break;
  case EmitPhase::Onnx:
    if (options.writesOnnxFile())
      return writeOnnxFile();
    return writeModule();
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

/// All of them at once, before shape inference stumbles over the first.
bool findUnknownNodes(const Model &model) {
  std::vector<const Node *> unknown = unknownNodes(model.graph);
  if (unknown.empty())
    return false;
  MLIRContext context(MLIRContext::Threading::DISABLED);
  ModelDiagnostics list(context, model);
  for (const Node *node : unknown)
    list.unsupported(*node, node->domain.empty()
                                ? "unknown operator"
                                : "unknown operator of domain '" + node->domain + "'");
  return true;
}

void writeTotals(const Options &options, const Steps &steps, const Totals &totals) {
  if (options.generate) {
    llvm::outs() << "tokens:";
    for (int64_t token : steps.tokens())
      llvm::outs() << ' ' << token;
    llvm::outs() << '\n';
  }
  if (!options.quiet)
    llvm::outs() << "steps: " << steps.stepCount() << ", latency " << si(totals.latencyS, "s")
                 << ", energy " << si(totals.energyJ, "J") << '\n';
}

/// A file, or a network of the zoo with the sizes that it has by default.
llvm::Expected<Model> openModel(Options &options) {
  llvm::StringRef name = zooName(options.model);
  if (name.empty())
    return loadModel(options.model);
  llvm::Expected<ZooNetwork> network = buildZoo(name);
  if (!network)
    return network.takeError();
  options.defaultDims = std::move(network->defaultDims);
  return std::move(network->model);
}

ExitStatus runSteps(Options options) {
  Phases phases(options.verbose);
  llvm::Expected<Machine> machine = loadMachine(options.npu);
  if (!machine)
    return badUsage(machine.takeError());
  llvm::Expected<Model> model = openModel(options);
  if (!model)
    return badUsage(model.takeError());
  phases.finish("load");
  if (findUnknownNodes(*model))
    return kUnsupported;
  llvm::Expected<Steps> steps = Steps::plan(model->graph, options);
  if (!steps)
    return badUsage(steps.takeError());

  Totals totals;
  while (true) {
    Run run(steps->options(), *machine, phases, totals);
    // A step's shapes may be its own: each is prepared from the model as the file has it.
    if (ExitStatus status = run.build(*model, steps->inputs()))
      return status;
    if (options.emit != EmitPhase::None)
      return run.writePhase();
    if (ExitStatus status = run.simulateProgram())
      return status;
    if (!options.hasSteps())
      return run.finish({});
    bool last = steps->isLast();
    if (llvm::Error error = steps->advance(run.takeInputs(), run.outputs()))
      return badUsage(std::move(error));
    if (!last)
      continue;
    ExitStatus status = run.finish(
        {llvm::formatv("the report is of step {0} of {0}; the {0} steps take {1} and {2} together",
                       steps->stepCount(), si(totals.latencyS, "s"), si(totals.energyJ, "J"))
             .str(),
         "each step is compiled for its own shapes, which costs the machine neither time nor "
         "energy"});
    if (status == kDone || status == kVerifyFailed)
      writeTotals(options, *steps, totals);
    return status;
  }
}

} // namespace

ExitStatus runNpucc(const Options &options) {
  // Nothing is meant to throw as far as here; memory can run out.
  try {
    return runSteps(options);
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

ExitStatus listZooTo(llvm::raw_ostream &out) {
  llvm::Expected<std::vector<std::string>> names = listZoo();
  if (!names)
    return badUsage(names.takeError());
  for (const std::string &name : *names) {
    llvm::Expected<ZooNetwork> network = buildZoo(name);
    if (!network)
      return badUsage(network.takeError());
    out << llvm::formatv("zoo:{0,-14} {1,14} parameters  {2};", name, network->parameters,
                         network->title);
    for (const auto &[symbol, size] : network->defaultDims)
      out << ' ' << symbol << '=' << size;
    out << '\n';
  }
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

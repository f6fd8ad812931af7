//===- npu-run.cpp - Runs a compiled program ------------------------------===//
//
// Needs neither the ONNX file nor MLIR: what a program does, and the machine that it was
// compiled for, stand in the .npu file.
//
//===----------------------------------------------------------------------===//

#include "runtime/onnx/Errors.h"
#include "runtime/reference/Reference.h"
#include "simulator/report/Files.h"
#include "simulator/report/Report.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/ToolOutputFile.h"

#include <cstdlib>

using namespace npucc;
namespace cl = llvm::cl;

namespace {

enum Exit { kDone = 0, kBadUsage = 1, kFailed = 3, kInternal = 70 };

cl::OptionCategory category("npu-run");
cl::opt<std::string> programPath(cl::Positional, cl::Required, cl::desc("MODEL.npu"),
                                 cl::cat(category));
cl::opt<std::string> npu("npu", cl::desc("machine; default: the one compiled for"),
                         cl::value_desc("NAME|FILE"), cl::cat(category));
cl::list<std::string> inputFiles("input", cl::desc("input tensor; others are random"),
                                 cl::value_desc("NAME=FILE.npy"), cl::cat(category));
cl::opt<uint64_t> seed("seed", cl::desc("of the random inputs"), cl::value_desc("N"), cl::init(0),
                       cl::cat(category));
cl::opt<std::string> outputDir("output-dir", cl::desc("write each output to DIR/NAME.npy"),
                               cl::value_desc("DIR"), cl::cat(category));
enum Mode { Functional, Timing };
cl::opt<Mode> mode("mode", cl::desc("with data, or time only"),
                   cl::values(clEnumValN(Functional, "functional", "move and compute data"),
                              clEnumValN(Timing, "timing", "time only")),
                   cl::init(Functional), cl::cat(category));
cl::opt<bool> residentWeights("resident-weights",
                              cl::desc("weights are in scratchpad before the clock starts"),
                              cl::cat(category));
cl::opt<bool> checkHazards("check-hazards",
                           cl::desc("test that conflicting accesses are ordered (exit 3)"),
                           cl::cat(category));
cl::opt<int64_t> drop("drop",
                      cl::desc("leave out the K-th Run or Wait of the listing; with data, test "
                               "that it is missed (exit 3)"),
                      cl::value_desc("K"), cl::init(-1), cl::cat(category));
cl::opt<uint64_t> shuffle("shuffle", cl::desc("random order among engines ready at the same time"),
                          cl::value_desc("SEED"), cl::init(0), cl::cat(category));
cl::opt<std::string> reportJson("report-json", cl::desc("write the report"), cl::value_desc("FILE"),
                                cl::cat(category));
cl::opt<std::string> traceFile("trace", cl::desc("write a timeline (Chrome trace)"),
                               cl::value_desc("FILE"), cl::cat(category));
cl::opt<bool> asmOnly("asm", cl::desc("print the listing and stop"), cl::cat(category));
cl::opt<bool> quiet("quiet", cl::desc("print no report"), cl::cat(category));

int fail(llvm::Error error, int status) {
  llvm::errs() << "npu-run: error: " << llvm::toString(std::move(error)) << '\n';
  return status;
}

llvm::Expected<std::map<std::string, Tensor>> readInputs(const Program &program) {
  std::map<std::string, Tensor> given, result;
  for (const std::string &text : inputFiles) {
    // At the last '=': names of tensors may contain one.
    auto [name, file] = llvm::StringRef(text).rsplit('=');
    if (name.empty() || file.empty())
      return makeError("--input {0}: expected NAME=FILE.npy", quoted(text));
    llvm::Expected<Tensor> tensor = readNpy(file.str());
    if (!tensor)
      return tensor.takeError();
    if (!given.emplace(name.str(), std::move(*tensor)).second)
      return makeError("--input {0} is given twice", quoted(name));
  }
  uint64_t index = 0;
  for (const ProgramTensor &place : program.tensors) {
    if (place.kind != ProgramTensor::Kind::Input)
      continue;
    ElementType type =
        place.externalType == ElementType::Undefined ? place.type : place.externalType;
    auto it = given.find(place.name);
    if (it == given.end()) {
      result[place.name] = randomTensor(type, place.shape, seed + index++);
      continue;
    }
    ++index;
    if (it->second.shape() != llvm::ArrayRef<int64_t>(place.shape))
      return makeError("--input {0}: the file's shape is not that of the program's input",
                       quoted(place.name));
    result[place.name] = it->second.type() == type ? it->second : castTensor(it->second, type);
    given.erase(it);
  }
  if (!given.empty())
    return makeError("--input {0}: the program has no such input", quoted(given.begin()->first));
  return result;
}

llvm::Error writeOutputs(const std::map<std::string, Tensor> &outputs) {
  if (std::error_code error = llvm::sys::fs::create_directories(outputDir))
    return makeError("cannot make folder {0}: {1}", quoted(outputDir), error.message());
  for (const auto &[name, tensor] : outputs) {
    std::string file = name;
    for (char &c : file)
      if (!llvm::isAlnum(c) && c != '.' && c != '_' && c != '-')
        c = '_';
    if (file.find_first_not_of('.') == std::string::npos) // would leave the folder
      file = "_" + file;
    llvm::SmallString<256> path(outputDir);
    llvm::sys::path::append(path, file + ".npy");
    if (llvm::Error error = writeNpy(path.str().str(), tensor))
      return error;
  }
  return llvm::Error::success();
}

int run() {
  if (checkHazards && mode == Timing)
    return fail(makeError("--check-hazards needs --mode functional"), kBadUsage);
  llvm::Expected<Program> program = readProgram(programPath);
  if (!program)
    return fail(program.takeError(), kBadUsage);
  if (asmOnly) {
    llvm::outs() << disassemble(*program);
    return kDone;
  }
  int64_t numbered = 0;
  for (const Stream &stream : program->streams)
    for (const Instruction &i : stream.code)
      numbered += i.kind == Instruction::Kind::Run || i.kind == Instruction::Kind::Wait;
  if (drop.getNumOccurrences() && (drop < 0 || drop >= numbered))
    return fail(makeError("--drop {0}: the listing (--asm) numbers 0 to {1}", drop.getValue(),
                          numbered - 1),
                kBadUsage);
  llvm::Expected<Machine> machine =
      npu.empty() ? parseMachine(program->machineYaml, programPath) : loadMachine(npu);
  if (!machine)
    return fail(machine.takeError(), kBadUsage);
  if (llvm::Error error =
          validate(*program, machine->scratchpad.bytes, machine->matrix.accumulatorBytes))
    return fail(prefixed(std::move(error), programPath + ": "), kBadUsage);
  std::map<std::string, Tensor> inputs;
  if (mode == Functional) {
    auto read = readInputs(*program);
    if (!read)
      return fail(read.takeError(), kBadUsage);
    inputs = std::move(*read);
  }

  SimulationOptions options;
  options.functional = mode == Functional;
  options.checkHazards = checkHazards || (drop >= 0 && mode == Functional);
  options.residentWeights = residentWeights;
  options.shuffleSeed = shuffle;
  if (drop >= 0 && options.checkHazards) { // what is missed: compare with the whole program
    options.recordFlows = true;
    llvm::Expected<SimulationResult> whole = simulate(*program, *machine, inputs, options);
    if (!whole)
      return fail(prefixed(whole.takeError(), "nothing dropped: "), kInternal);
    options.recordFlows = false;
    options.expectedFlows = whole->flows;
  }
  options.dropInstruction = drop;
  options.recordTrace = !traceFile.empty();
  llvm::Expected<SimulationResult> result = simulate(*program, *machine, inputs, options);
  if (!result) // a program that was made wrong on purpose may well get stuck
    return fail(result.takeError(), drop >= 0 ? kFailed : kInternal);

  ReportInputs reported{programPath, *program, *machine, *result, "", "", {}, {}, {}, {}};
  reported.mode = mode == Functional ? "functional" : "timing";
  reported.weights = residentWeights ? "resident" : "cold";
  reported.tool.simulateCpuS = result->cpuSeconds;
  reported.tool.peakRssBytes = peakResidentBytes();
  RunReport report = buildReport(reported);
  if (!quiet) {
    TextOptions text;
    text.color = llvm::sys::Process::StandardOutHasColors() && !std::getenv("NO_COLOR");
    writeText(llvm::outs(), report, text);
  }
  if (llvm::Error error =
          writeFile(reportJson, [&](llvm::raw_ostream &out) { writeJson(out, report); }))
    return fail(std::move(error), kBadUsage);
  if (llvm::Error error = writeFile(
          traceFile, [&](llvm::raw_ostream &out) { writeTrace(out, *program, *machine, *result); }))
    return fail(std::move(error), kBadUsage);
  if (!outputDir.empty() && mode == Functional)
    if (llvm::Error error = writeOutputs(result->outputs))
      return fail(std::move(error), kBadUsage);
  for (const Hazard &hazard : result->hazards)
    llvm::errs() << "npu-run: hazard: " << hazard.text << '\n';
  return result->hazards.empty() ? kDone : kFailed;
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::SetVersionPrinter([](llvm::raw_ostream &out) { out << "npu-run " NPUCC_VERSION "\n"; });
  if (!cl::ParseCommandLineOptions(argc, argv, "runs a compiled program on the modelled NPU\n",
                                   &llvm::errs()))
    return kBadUsage;
  try { // SystemC and the standard library throw; a run ends with a line and a status
    return run();
  } catch (const std::exception &error) {
    llvm::errs() << "npu-run: internal error: " << error.what() << '\n';
    return kInternal;
  }
}

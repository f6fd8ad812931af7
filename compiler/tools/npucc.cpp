//===- npucc.cpp - The compiler driver's command line -------------------------===//

#include "compiler/driver/Driver.h"
#include "compiler/driver/Registration.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

namespace cl = llvm::cl;
using npucc::EmitPhase;

static cl::OptionCategory category("npucc options");

namespace {
enum class Mode { Functional, Timing };
enum class Weights { Cold, Resident };
} // namespace

template <typename T> using Opt = cl::opt<T>;
using Text = cl::opt<std::string>;
using Texts = cl::list<std::string>;
using Flag = cl::opt<bool>;

static Text model(cl::Positional, cl::desc("MODEL.onnx, or zoo:NAME"), cl::cat(category));
static Text npu("npu", cl::desc("the machine: a name of --list-npus, or a .yaml file"),
                cl::value_desc("NAME|FILE"), cl::init("edge"), cl::cat(category));
static Flag listNpus("list-npus", cl::desc("list the machines"), cl::cat(category));
static Flag listZoo("list-zoo", cl::desc("list the networks that zoo:NAME builds"),
                    cl::cat(category));
static Flag dumpNpu("dump-npu", cl::desc("print the machine's description, all keys"),
                    cl::cat(category));
static Text precision("precision", cl::init("model"), cl::value_desc("TYPE"), cl::cat(category),
                      cl::desc("arithmetic: model (what the file asks for), fp32, bf16, fp16, "
                               "fp8, fp8e5m2, int8"));
static Text calibrate("calibrate", cl::value_desc("DIR"), cl::cat(category),
                      cl::desc("--precision int8: .npy files that ranges are measured on"));
static Text ranges("ranges", cl::init("minmax"), cl::value_desc("METHOD"), cl::cat(category),
                   cl::desc("--precision int8: ranges of activations, minmax, percentile or mse"));
static Opt<double> minSnr("min-snr", cl::init(25), cl::value_desc("DB"), cl::cat(category),
                          cl::desc("--precision int8: below it on the samples, layers of up to 5 % "
                                   "of the multiply-accumulates stay in floating point (25)"));
static Opt<Mode>
    mode("mode", cl::desc("what is simulated"), cl::init(Mode::Functional), cl::cat(category),
         cl::values(clEnumValN(Mode::Functional, "functional", "data, time and energy (default)"),
                    clEnumValN(Mode::Timing, "timing", "time and energy")));
static Opt<int64_t> batch("batch", cl::desc("batch size"), cl::value_desc("N"), cl::cat(category));
static Texts dims("dim", cl::desc("bind a symbolic dimension"), cl::value_desc("NAME=N"),
                  cl::cat(category));
static Texts inputShapes("input-shape", cl::desc("give an input a shape"),
                         cl::value_desc("NAME=1,3,224,224"), cl::cat(category));
static Texts inputs("input", cl::desc("contents of an input; random if not given"),
                    cl::value_desc("NAME=FILE.npy"), cl::cat(category));
static Opt<uint64_t> seed("seed", cl::desc("of the random inputs"), cl::value_desc("N"),
                          cl::cat(category));
static Texts feeds("feed", cl::desc("an output of one step is an input of the next"),
                   cl::value_desc("OUT=IN"), cl::cat(category));
static Opt<int64_t> steps("steps", cl::desc("run a model with state step by step"),
                          cl::value_desc("N"), cl::cat(category));
static Opt<int64_t> generate("generate", cl::desc("decoders: continue the prompt by N tokens"),
                             cl::value_desc("N"), cl::cat(category));
static Text prompt("prompt", cl::desc("token ids for --generate"), cl::value_desc("FILE.npy"),
                   cl::cat(category));
static Text outputDir("output-dir", cl::desc("write each graph output to DIR/NAME.npy"),
                      cl::value_desc("DIR"), cl::cat(category));
static Flag noHost("no-host", cl::desc("no operator may run on the control core"),
                   cl::cat(category));
static Opt<Weights> weights("weights", cl::desc("where weights are when the clock starts"),
                            cl::init(Weights::Cold), cl::cat(category),
                            cl::values(clEnumValN(Weights::Cold, "cold", "in DRAM (default)"),
                                       clEnumValN(Weights::Resident, "resident", "in scratchpad")));
static Flag verify("verify", cl::desc("compare with the reference evaluation"), cl::cat(category));
static Flag checkHazards("check-hazards",
                         cl::desc("find conflicting accesses that nothing orders (slow)"),
                         cl::cat(category));
static Text baseline("baseline", cl::desc("GPUs to compare with, or none"), cl::init("default"),
                     cl::value_desc("NAME[@precision][@batch],..."), cl::cat(category));
static Flag listBaselines("list-baselines", cl::desc("list the GPUs"), cl::cat(category));
static Flag listOperators("list-operators", cl::desc("list the operators, and where they run"),
                          cl::cat(category));
static Text reportJson("report-json", cl::desc("write the report as JSON"), cl::value_desc("FILE"),
                       cl::cat(category));
static Text reportHtml("report-html", cl::desc("write the report as a page"),
                       cl::value_desc("FILE"), cl::cat(category));
static Text explainEnergy("explain-energy", cl::ValueOptional, cl::value_desc("FIGURE"),
                          cl::desc("how a figure came about, down to the sources: total, a "
                                   "component, an action, area, layer:NODE or a GPU"),
                          cl::cat(category));
static Text trace("trace", cl::desc("write the timeline (Chrome trace format)"),
                  cl::value_desc("FILE"), cl::cat(category));
static Opt<EmitPhase> emitPhase(
    "emit", cl::desc("stop after a phase and write its result"), cl::init(EmitPhase::None),
    cl::cat(category),
    cl::values(clEnumValN(EmitPhase::Onnx, "onnx",
                          "MLIR, the graph as imported; a .onnx file if -o names one"),
               clEnumValN(EmitPhase::Linalg, "linalg", "MLIR, loop nests on whole tensors"),
               clEnumValN(EmitPhase::Npu, "npu", "MLIR, commands on tiles"),
               clEnumValN(EmitPhase::Asm, "asm", "the program's listing"),
               clEnumValN(EmitPhase::Program, "program", "the program, a .npu file")));
static Text output("o", cl::desc("file for --emit; default: standard output, or MODEL.npu"),
                   cl::value_desc("FILE"), cl::cat(category));
static Flag quiet("quiet", cl::desc("no report on standard output, no progress"),
                  cl::cat(category));
static Flag verbose("verbose", cl::desc("say what takes how long"), cl::cat(category));

static npucc::Options collect() {
  npucc::Options options;
  options.model = model;
  options.npu = npu;
  options.precision = precision;
  options.calibrate = calibrate;
  options.ranges = ranges;
  options.minSnrDb = minSnr;
  options.functional = mode == Mode::Functional;
  if (batch.getNumOccurrences())
    options.batch = batch;
  options.dims.assign(dims.begin(), dims.end());
  options.inputShapes.assign(inputShapes.begin(), inputShapes.end());
  options.inputs.assign(inputs.begin(), inputs.end());
  options.seed = seed;
  options.feeds.assign(feeds.begin(), feeds.end());
  if (steps.getNumOccurrences())
    options.steps = steps;
  if (generate.getNumOccurrences())
    options.generate = generate;
  options.prompt = prompt;
  options.outputDir = outputDir;
  options.noHost = noHost;
  options.residentWeights = weights == Weights::Resident;
  options.verify = verify;
  options.checkHazards = checkHazards;
  options.baselines = baseline;
  options.reportJson = reportJson;
  options.reportHtml = reportHtml;
  options.trace = trace;
  if (explainEnergy.getNumOccurrences())
    options.explainEnergy = explainEnergy;
  options.emit = emitPhase;
  options.output = output;
  options.quiet = quiet;
  options.verbose = verbose;
  return options;
}

static int usage(llvm::StringRef message) {
  llvm::errs() << "npucc: error: " << message
               << "\nusage: npucc MODEL.onnx [options]; see --help\n";
  return npucc::kBadUsage;
}

int main(int argc, char **argv) {
  llvm::sys::PrintStackTraceOnErrorSignal(argv[0]);
  // MLIR's own options (--mlir-print-ir-after, --mlir-timing, ...) work, but do not fill --help.
  npucc::registerPasses();
  mlir::registerMLIRContextCLOptions();
  mlir::registerAsmPrinterCLOptions();
  mlir::registerPassManagerCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  cl::HideUnrelatedOptions(category);
  cl::SetVersionPrinter([](llvm::raw_ostream &out) { out << "npucc " NPUCC_VERSION "\n"; });
  cl::ParseCommandLineOptions(argc, argv,
                              "compiles an ONNX network for an NPU, simulates it, and reports "
                              "time and energy\n");

  if (listNpus)
    return npucc::listMachinesTo(llvm::outs());
  if (listZoo)
    return npucc::listZooTo(llvm::outs());
  if (listBaselines)
    return npucc::listBaselinesTo(llvm::outs());
  if (listOperators)
    return npucc::listOperatorsTo(llvm::outs());
  if (dumpNpu)
    return npucc::dumpMachineTo(llvm::outs(), npu);
  if (model.empty())
    return usage("no model given");
  if (verify && mode == Mode::Timing)
    return usage("--verify needs data: it does not go with --mode timing");
  if (!calibrate.empty() && precision != "int8")
    return usage("--calibrate goes with --precision int8");
  if ((ranges.getNumOccurrences() || minSnr.getNumOccurrences()) && precision != "int8")
    return usage("--ranges and --min-snr go with --precision int8");
  if (!output.empty() && emitPhase == EmitPhase::None)
    return usage("-o goes with --emit; see --output-dir, --report-json");
  bool generates = generate.getNumOccurrences(), repeats = steps.getNumOccurrences();
  if (generates == prompt.empty())
    return usage("--generate and --prompt go together");
  if (generates && repeats)
    return usage("--generate says how many steps there are: it does not go with --steps");
  if (!feeds.empty() && !generates && !repeats)
    return usage("--feed goes with --steps or --generate");
  if ((generates || !feeds.empty()) && mode == Mode::Timing)
    return usage("--feed and --generate need data: they do not go with --mode timing");
  return npucc::runNpucc(collect());
}

//===- NpuccRun.cpp - Runs of the built npucc, and what must hold of each -===//

#include "tests/compiler/endtoend/NpuccRun.h"

#include "models/machine/Machine.h"
#include "runtime/onnx/Loader.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"

using namespace npucc;
using namespace npucc::test;

static std::string contents(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  return buffer ? (*buffer)->getBuffer().str() : std::string();
}

NpuccRun::NpuccRun(const std::string &model, const std::vector<std::string> &options) {
  std::string reportFile = folder.file("report.json"), errors = folder.file("stderr"),
              printedFile = folder.file("stdout");
  std::vector<llvm::StringRef> arguments{NPUCC_TOOL, model, "--quiet", "--report-json", reportFile};
  std::string outputs = folder.file("");
  if (!llvm::is_contained(options, "timing"))
    arguments.insert(arguments.end(), {"--output-dir", outputs});
  std::string line = "npucc " + model;
  for (const std::string &option : options) {
    arguments.push_back(option);
    line += " " + option;
  }
  std::string why;
  int status = llvm::sys::ExecuteAndWait(NPUCC_TOOL, arguments, std::nullopt,
                                         {llvm::StringRef(), printedFile, errors}, 0, 0, &why);
  if (status != 0)
    FAIL(line << ": exit status " << status << " " << why << "\n" << contents(errors));
  standardOutput = contents(printedFile);
  parsed = check(llvm::json::parse(contents(reportFile)));
  REQUIRE(parsed.getAsObject());
}

Tensor NpuccRun::output(const std::string &name) const {
  // As npucc names the files.
  std::string file = name;
  for (char &c : file)
    if (!llvm::isAlnum(c) && !llvm::StringRef("._-").contains(c))
      c = '_';
  return check(readNpy(folder.file(file + ".npy")));
}

const llvm::json::Value *NpuccRun::find(llvm::StringRef path) const {
  const llvm::json::Value *value = &parsed;
  while (value && !path.empty()) {
    auto [key, rest] = path.split('.');
    const llvm::json::Object *object = value->getAsObject();
    value = object ? object->get(key) : nullptr;
    path = rest;
  }
  return value;
}

double NpuccRun::number(llvm::StringRef path) const {
  const llvm::json::Value *value = find(path);
  if (!value || !value->getAsNumber())
    FAIL("the report has no number " << path.str());
  return *value->getAsNumber();
}

std::string NpuccRun::text(llvm::StringRef path) const {
  const llvm::json::Value *value = find(path);
  if (!value || !value->getAsString())
    FAIL("the report has no text " << path.str());
  return value->getAsString()->str();
}

double NpuccRun::layerSum(llvm::StringRef key) const {
  const llvm::json::Array *layers = report().getArray("layers");
  REQUIRE(layers);
  double sum = 0;
  for (const llvm::json::Value &layer : *layers) {
    std::optional<double> value = layer.getAsObject()->getNumber(key);
    REQUIRE(value);
    sum += *value;
  }
  return sum;
}

llvm::json::Value NpuccRun::repeatable() const {
  llvm::json::Object copy = report();
  copy.erase("tool");
  return copy;
}

int64_t npucc::test::weightElements(const std::string &path) {
  Model model = check(loadModel(path));
  int64_t elements = 0;
  for (const auto &[id, tensor] : model.graph.constants)
    elements += tensor.rank() >= 2 ? tensor.size() : 0;
  return elements;
}

void npucc::test::checkReport(const NpuccRun &run, const std::string &machineName,
                              double weightBytes) {
  Machine machine = check(loadMachine(machineName));
  double latency = run.number("latency_s"), macs = run.number("model.macs");
  CHECK(latency == Approx(run.number("cycles") / machine.clockHz));
  CHECK(run.number("ops") == 2 * macs);
  CHECK(run.layerSum("macs") == macs);

  // Not faster than the MAC arrays and the DRAM can be.
  double peak = 0;
  for (ElementType type : {ElementType::Float32, ElementType::BFloat16, ElementType::Int8})
    if (run.text("precision") == arithmeticName(type))
      peak = machine.peakMacsPerSecond(type);
  REQUIRE(peak > 0);
  double read = run.number("dram_bytes.read"), written = run.number("dram_bytes.written");
  CHECK(latency >= macs / peak);
  CHECK(latency >= (read + written) / machine.dramBytesPerSecond());
  CHECK(latency >= run.number("lower_bound_s"));
  CHECK(run.number("utilization") <= 1);
  CHECK(run.number("utilization") > 0);

  // All bytes belong to layers; weights are read at least once.
  CHECK(run.layerSum("dram_bytes") == read + written);
  CHECK(run.report().getObject("actions")->getNumber("dram.read_byte") == read);
  CHECK(read >= weightBytes);
  CHECK(written > 0);

  // Energy: by layer, by component and by action, each time the same total.
  double total = run.number("energy_j.total"), components = 0;
  CHECK(run.layerSum("energy_j") == Approx(total));
  for (const auto &[name, energy] : *run.report().getObject("energy_j"))
    components += name == "total" ? 0 : *energy.getAsNumber();
  CHECK(components == Approx(total));
  double actions = run.number("static_power_w.total") * latency;
  const llvm::json::Object &each = *run.report().getObject("energy_per_action_j");
  for (const auto &[name, count] : *run.report().getObject("actions")) {
    INFO("action " << name.str());
    REQUIRE(each.getNumber(name));
    actions += *count.getAsNumber() * *each.getNumber(name);
  }
  CHECK(actions == Approx(total));
}

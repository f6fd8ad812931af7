//===- npu-validate.cpp - How far the models are off ----------------------===//

#include "models/machine/Machine.h"
#include "simulator/baseline/Baseline.h"
#include "simulator/report/Files.h"
#include "simulator/validate/Validate.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"

using namespace npucc;
namespace cl = llvm::cl;

namespace {

enum Exit { kDone = 0, kBadUsage = 1, kOutOfBounds = 3 };

cl::OptionCategory category("npu-validate");
cl::list<std::string> groupNames(cl::Positional, cl::desc("[GROUP...]"), cl::cat(category));
cl::list<std::string> targetFiles("targets",
                                  cl::desc("targets of your own, instead of the bundled ones"),
                                  cl::value_desc("FILE.yaml"), cl::cat(category));
cl::opt<std::string> jsonFile("json", cl::desc("write the results"), cl::value_desc("FILE"),
                              cl::cat(category));
cl::opt<std::string> markdownFile("markdown", cl::desc("write docs/validation.md"),
                                  cl::value_desc("FILE"), cl::cat(category));
cl::opt<std::string> boundsFolder("record-bounds",
                                  cl::desc("write today's errors as bounds (DIR/GROUP.yaml)"),
                                  cl::value_desc("DIR"), cl::cat(category));
cl::opt<std::string> measureFile("measure-gpu",
                                 cl::desc("time kernels of the GPU at hand (--gpu), write them as "
                                          "targets, and compare; needs python3 with PyTorch"),
                                 cl::value_desc("FILE"), cl::cat(category));
cl::opt<std::string> measuredGpu("gpu", cl::desc("what the GPU at hand is, a file in models/gpu"),
                                 cl::value_desc("NAME"), cl::cat(category));
cl::opt<std::string> measureSeconds("measure-seconds", cl::desc("for each kernel"), cl::init("2"),
                                    cl::value_desc("S"), cl::cat(category));
cl::opt<bool> listKinds("list-kinds", cl::desc("kinds of targets, and stop"), cl::cat(category));
cl::opt<bool> quiet("quiet", cl::desc("print no table"), cl::cat(category));

int fail(llvm::Error error) {
  llvm::errs() << "npu-validate: error: " << llvm::toString(std::move(error)) << '\n';
  return kBadUsage;
}

bool wanted(const TargetGroup &group) {
  return groupNames.empty() || llvm::is_contained(groupNames, group.name);
}

llvm::Expected<std::vector<GroupResult>> evaluateAll() {
  std::vector<std::string> files(targetFiles.begin(), targetFiles.end());
  bool bundled = files.empty();
  if (bundled)
    files = bundledTargets();
  Networks networks;
  std::vector<GroupResult> results;
  for (const std::string &file : files) {
    llvm::Expected<std::vector<TargetGroup>> groups = readTargets(file);
    if (!groups)
      return groups.takeError();
    for (TargetGroup &group : *groups) {
      if (!wanted(group))
        continue;
      if (bundled)
        if (llvm::Error error = readBounds(group))
          return std::move(error);
      llvm::Expected<GroupResult> result = evaluate(std::move(group), networks);
      if (!result)
        return result.takeError();
      results.push_back(std::move(*result));
    }
  }
  if (results.empty())
    return llvm::createStringError("no group of targets has such a name");
  return results;
}

/// Runs models/gpu/measured/measure_gpu.py; its file is what is compared then.
llvm::Error measure() {
  if (llvm::Expected<Gpu> known = loadGpu(measuredGpu); !known)
    return known.takeError();
  llvm::ErrorOr<std::string> python = llvm::sys::findProgramByName("python3");
  if (!python)
    return llvm::createStringError("--measure-gpu: no python3 on the path");
  llvm::SmallString<256> script(modelsFolder());
  llvm::sys::path::append(script, "gpu", "measured", "measure_gpu.py");
  std::string message;
  int status =
      llvm::sys::ExecuteAndWait(*python,
                                {*python, script, measureFile.getValue(), "--gpu",
                                 measuredGpu.getValue(), "--seconds", measureSeconds.getValue()},
                                std::nullopt, {}, 0, 0, &message);
  if (status != 0)
    return llvm::createStringError("--measure-gpu: the measurement failed" +
                                   (message.empty() ? "" : " (" + message + ")"));
  targetFiles.push_back(measureFile);
  return llvm::Error::success();
}

int run() {
  if (!measureFile.empty())
    if (llvm::Error error = measure())
      return fail(std::move(error));
  if (listKinds) {
    for (const Kind &kind : kinds())
      llvm::outs() << kind.name << ": " << kind.description << '\n';
    return kDone;
  }
  llvm::Expected<std::vector<GroupResult>> results = evaluateAll();
  if (!results)
    return fail(results.takeError());
  if (!quiet)
    printText(llvm::outs(), *results);
  if (llvm::Error error =
          writeFile(jsonFile, [&](llvm::raw_ostream &os) { printJson(os, *results); }))
    return fail(std::move(error));
  if (llvm::Error error =
          writeFile(markdownFile, [&](llvm::raw_ostream &os) { printMarkdown(os, *results); }))
    return fail(std::move(error));
  if (!boundsFolder.empty())
    for (const GroupResult &group : *results) {
      llvm::SmallString<256> path(boundsFolder);
      llvm::sys::path::append(path, group.group.name + ".yaml");
      if (llvm::Error error =
              writeFile(path.str().str(), [&](llvm::raw_ostream &os) { printBounds(os, group); }))
        return fail(std::move(error));
    }
  int status = kDone;
  for (const GroupResult &group : *results)
    for (const TargetResult &row : group.results)
      if (!row.kept()) {
        llvm::errs() << "npu-validate: " << group.group.name << '/' << row.target->id
                     << ": the error grew past its bound\n";
        status = kOutOfBounds;
      }
  return status;
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::SetVersionPrinter([](llvm::raw_ostream &out) { out << "npu-validate " NPUCC_VERSION "\n"; });
  if (!cl::ParseCommandLineOptions(argc, argv, "compares the models with published figures\n",
                                   &llvm::errs()))
    return kBadUsage;
  return run();
}

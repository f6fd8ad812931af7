//===- ThroughNpucc.cpp - A case through npucc, as a user runs it -----------===//

#include "compiler/driver/Driver.h"
#include "runtime/onnx/Loader.h"
#include "tests/conformance/Cases.h"
#include "tests/runtime/ops/CaseRunner.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace npucc::test {

constexpr unsigned kSecondsToRun = 120;

/// Calls runNpucc in a child process; its exit status and what it wrote to stderr, if not 0.
static std::string runInChild(const Options &options, const std::string &errors) {
  llvm::outs().flush();
  pid_t child = fork();
  if (child == 0) {
    int file = open(errors.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    dup2(file, STDERR_FILENO);
    alarm(kSecondsToRun);
    int status = runNpucc(options);
    _exit(status);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child)
    return "no process can be started";
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return "";
  std::string text = WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                         : "exit status " + std::to_string(WEXITSTATUS(status));
  auto buffer = llvm::MemoryBuffer::getFile(errors);
  return text + ": " + (buffer ? (*buffer)->getBuffer().rtrim().str() : "");
}

static std::string runIn(const std::string &folder, const std::string &path, const CaseData &data) {
  llvm::Expected<Model> model = loadModel(path);
  if (!model)
    return llvm::toString(model.takeError());
  const Graph &graph = model->graph;
  if (graph.inputs.size() != data.inputs.size())
    return "takes " + std::to_string(graph.inputs.size()) + " inputs, given " +
           std::to_string(data.inputs.size());

  Options options;
  options.model = path;
  options.quiet = true;
  options.baselines = "none";
  options.outputDir = folder + "/out";
  for (size_t i = 0; i < data.inputs.size(); ++i) {
    std::string file = folder + "/" + std::to_string(i) + ".npy";
    if (llvm::Error error = writeNpy(file, data.inputs[i]))
      return llvm::toString(std::move(error));
    options.inputs.push_back(graph.values[graph.inputs[i]].name + "=" + file);
  }
  if (std::string wrong = runInChild(options, folder + "/stderr"); !wrong.empty())
    return wrong;
  for (size_t i = 0; i < data.outputs.size(); ++i) {
    const std::string &name = graph.values[graph.outputs[i]].name;
    auto output = readNpy(options.outputDir + "/" + outputFileName(name));
    if (!output)
      return llvm::toString(output.takeError());
    if (std::string text = compare(*output, data.outputs[i], {}); !text.empty())
      return "output " + std::to_string(i) + ": " + text;
  }
  return "";
}

void setUpNpucc() {
  mlir::registerPassManagerCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
}

std::string throughNpucc(const std::string &model, const CaseData &data) {
  llvm::SmallString<128> folder;
  if (std::error_code code = llvm::sys::fs::createUniqueDirectory("npucc-conformance", folder))
    return code.message();
  std::string message = runIn(std::string(folder), model, data);
  llvm::sys::fs::remove_directories(folder);
  return message;
}

} // namespace npucc::test

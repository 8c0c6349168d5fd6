// Detect objects with an exported file in C++, with ONNX Runtime and OpenCV:
//   g++ -std=c++17 -O2 detect.cpp -I$ORT/include -L$ORT/lib -lonnxruntime \
//       $(pkg-config --cflags --libs opencv4) -o detect
//   ./detect model.onnx photo.jpg
// The preprocessing is written out for a checkpoint whose metadata says: scale [1333, 800],
// keep_ratio, swap_channels (RGB), pad_divisor 32, and ImageNet's mean and std.
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <opencv2/opencv.hpp>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  Ort::Env env(ORT_LOGGING_LEVEL_WARNING, "detect");
  Ort::SessionOptions options;
  Ort::Session session(env, argv[1], options);
  Ort::AllocatorWithDefaultOptions allocator;
  auto classes = session.GetModelMetadata().LookupCustomMetadataMapAllocated("classes", allocator);
  std::cout << "classes: " << (classes ? classes.get() : "[]") << "\n";

  cv::Mat image = cv::imread(argv[2]), resized;
  if (image.empty()) return 2;
  const double factor = std::min(1333.0 / std::max(image.cols, image.rows),
                                 800.0 / std::min(image.cols, image.rows));
  const int width = int(image.cols * factor + 0.5), height = int(image.rows * factor + 0.5);
  cv::resize(image, resized, {width, height});
  const int64_t W = (width + 31) / 32 * 32, H = (height + 31) / 32 * 32;
  const float mean[] = {123.675f, 116.28f, 103.53f}, deviation[] = {58.395f, 57.12f, 57.375f};
  std::vector<float> planes(3 * H * W, 0.0f);  // zeros are the padding
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)  // BGR to RGB
        planes[(c * H + y) * W + x] =
            (resized.at<cv::Vec3b>(y, x)[2 - c] - mean[c]) / deviation[c];

  std::array<float, 2> sizes{float(height), float(width)};
  const std::array<int64_t, 4> image_shape{1, 3, H, W};
  const std::array<int64_t, 2> size_shape{1, 2};
  auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  std::array<Ort::Value, 2> inputs{
      Ort::Value::CreateTensor<float>(memory, planes.data(), planes.size(), image_shape.data(), 4),
      Ort::Value::CreateTensor<float>(memory, sizes.data(), sizes.size(), size_shape.data(), 2)};
  const char* input_names[] = {"images", "sizes"};
  const char* output_names[] = {"boxes", "scores", "labels", "num"};
  auto found = session.Run(Ort::RunOptions{}, input_names, inputs.data(), 2, output_names, 4);

  const float* boxes = found[0].GetTensorData<float>();
  const float* scores = found[1].GetTensorData<float>();
  const int64_t* labels = found[2].GetTensorData<int64_t>();
  const int64_t num = found[3].GetTensorData<int64_t>()[0];
  const float back_x = float(image.cols) / width, back_y = float(image.rows) / height;
  for (int64_t i = 0; i < num && scores[i] >= 0.3f; ++i)  // best first
    std::cout << labels[i] << " " << scores[i] << " [" << boxes[4 * i] * back_x << ", "
              << boxes[4 * i + 1] * back_y << ", " << boxes[4 * i + 2] * back_x << ", "
              << boxes[4 * i + 3] * back_y << "]\n";
}

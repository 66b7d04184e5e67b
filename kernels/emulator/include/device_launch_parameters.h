// device_launch_parameters.h -- threadIdx and the others are built in.

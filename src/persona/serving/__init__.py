"""The live page on this machine, and poses from everywhere: `send_pose` sends one."""

from persona.serving.sending import PoseSender as PoseSender
from persona.serving.sending import send_pose as send_pose

try {
  const answer = await fetch(process.argv[2]);
  process.stdout.write(await answer.text());
} catch (error) {
  console.error(error.cause?.message ?? error.message);
  process.exit(1);
}
